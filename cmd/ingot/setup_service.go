package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"ingot/cmd/ingot/internal/setup"
	"ingot/firmware"
	"ingot/web"
)

// setupBundle builds the boot bundle where there is none. A failure does not undo the rest: the reason and the next
// step are told, and setup ends as done in part.
func (a *app) setupBundle(ctx context.Context, cfg config, f setupFlags) (string, error) {
	if _, err := firmware.Open(filepath.Join(cfg.Data, "boot")); err == nil && f.debs == "" {
		a.step("boot bundle: there is one; \"sudo ingot firmware build\" makes a new one")
		return "kept", nil
	}
	if f.noBundle {
		return "skipped", nil
	}
	a.step("building the boot bundle from this host's packages; this takes some minutes")
	argv := []string{"firmware", "build", "-o", "name"}
	if f.debs != "" {
		argv = append(argv, "--debs", f.debs)
	}
	if err := a.again(ctx, argv...); err != nil {
		return "failed", setupFault("There is no boot bundle yet, so no laptop can start.")
	}
	return "built", nil
}

// again runs this program once more, as a command of its own, which gives root's rights up by itself. What it has to
// say to a person goes to stderr.
func (a *app) again(ctx context.Context, argv ...string) error {
	if a.quiet {
		argv = append(argv, "--quiet")
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Args = append([]string{"ingot", "--config", a.config}, argv...)
	cmd.Stdout, cmd.Stderr = io.Discard, a.err
	return cmd.Run()
}

const (
	systemdRuns = "/run/systemd/system" // there when systemd is the running init: sd_booted(3)
	dropIn      = "/etc/systemd/system/ingot.service.d/data.conf"
)

// startService enables and starts the service where systemd runs, and waits until the daemon answers.
func (a *app) startService(ctx context.Context, cfg config, f setupFlags, changed bool) (string, error) {
	if f.noStart {
		return "skipped", nil
	}
	if _, err := os.Stat(systemdRuns); err != nil {
		a.step("no systemd runs here: start the daemon yourself, and see that it starts again")
		return "no systemd", nil
	}
	if err := exec.CommandContext(ctx, "systemctl", "cat", "ingot.service").Run(); err != nil {
		return "", setupFault("There is no ingot.service: run \"make install\" first.")
	}
	if err := placeDropIn(cfg.Data); err != nil {
		return "", err
	}
	begin := "start" // a daemon that runs with these settings goes on
	if changed {
		begin = "restart"
	}
	for _, argv := range [][]string{{"daemon-reload"}, {"enable", "--quiet", "ingot.service"}, {begin, "ingot.service"}} {
		if err := systemctl(ctx, argv...); err != nil {
			return "", err
		}
	}
	if err := a.awaitDaemon(ctx, cfg); err != nil {
		return "", err
	}
	a.step("the service runs, and starts with the server")
	return "running", nil
}

// placeDropIn lets the service write to a data folder that is not the unit's own.
func placeDropIn(data string) error {
	if data == defaultData {
		if err := os.Remove(dropIn); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove %s: %w", dropIn, err)
		}
		return nil
	}
	if _, err := setup.Write(dropIn, []byte(dropInText(data)), 0o644); err != nil {
		return errors.Join(err, setupFault("%s could not be written.", dropIn))
	}
	return nil
}

// dropInText opens one folder to the service; systemd hides home folders from it otherwise.
func dropInText(data string) string {
	text := "# Written by \"ingot setup\": the data folder is not /var/lib/ingot.\n[Service]\nReadWritePaths=\"" + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%").Replace(data) + "\"\n"
	for _, home := range []string{"/home/", "/root/", "/run/user/"} {
		if strings.HasPrefix(data, home) {
			text += "ProtectHome=no\n"
		}
	}
	return text
}

// systemctl runs one command of systemd's.
func systemctl(ctx context.Context, argv ...string) error {
	var errs bytes.Buffer
	cmd := exec.CommandContext(ctx, "systemctl", argv...)
	cmd.Stderr = &errs
	if err := cmd.Run(); err != nil {
		return errors.Join(err, setupFault("\"systemctl %s\" failed: %s.", strings.Join(argv, " "), firstLine(errs.String())))
	}
	return nil
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return strings.TrimRight(printable(s), ". ")
}

// startTime is how long a daemon may take until it answers; as a DHCP server it first listens for others.
const startTime = 30 * time.Second

// awaitDaemon waits until the daemon answers, and else gives its own last words.
func (a *app) awaitDaemon(ctx context.Context, cfg config) error {
	for end := time.Now().Add(startTime + cfg.Boot.ProbeTime); time.Now().Before(end); {
		if s, err := daemonStatus(ctx, cfg); err == nil && s.Serving {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
	said, err := exec.CommandContext(ctx, "journalctl", "--unit=ingot", "--lines=1", "--output=cat", "--quiet").Output()
	if err != nil || len(said) == 0 {
		said = []byte("See: journalctl -u ingot")
	}
	return setupFault("The service does not answer. Its last words: %s.", firstLine(string(said)))
}

// daemonStatus asks the running daemon; an error when none answers.
func daemonStatus(ctx context.Context, cfg config) (web.Status, error) {
	cl, err := dialDaemon(filepath.Join(cfg.Data, socketName))
	if err != nil {
		return web.Status{}, err
	}
	if cl == nil {
		return web.Status{}, os.ErrNotExist
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	s, err := get[web.Status](ctx, cl, "daemon")
	return s, errors.Join(err, cl.close())
}
