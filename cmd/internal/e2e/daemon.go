package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"ingot/cmd/internal/lab"
)

// Daemon is the ingot daemon under test, with the command line that an operator has. Its data folder outlives
// it: a daemon started again on the same Data goes on.
type Daemon struct {
	Data string
	Proc *lab.Process

	env  *Env
	argv []string
}

// fullDHCP are the daemon's flags on a bench where it is the only DHCP server.
var fullDHCP = []string{"--mode", "dhcp", "--pool", "10.77.0.50-10.77.0.99"}

// StartDaemon starts the daemon on a new data folder with the boot bundle, and waits until it is ready.
func (e *Env) StartDaemon(ctx context.Context, flags ...string) (*Daemon, error) {
	return e.startNew(ctx, e.newDaemon(flags...))
}

// StartDaemonOn does the same on a data folder that may hold something already.
func (e *Env) StartDaemonOn(ctx context.Context, data string, flags ...string) (*Daemon, error) {
	return e.startNew(ctx, e.daemonOn(data, flags...))
}

func (e *Env) startNew(ctx context.Context, d *Daemon) (*Daemon, error) {
	if err := os.MkdirAll(d.Data, 0o700); err != nil {
		return nil, err
	}
	if err := os.Symlink(bundleDir(e.Cache), filepath.Join(d.Data, "boot")); err != nil {
		return nil, err
	}
	return d, d.Start(ctx)
}

func (e *Env) newDaemon(flags ...string) *Daemon {
	return e.daemonOn(filepath.Join(e.Dir, fmt.Sprintf("data%d", len(e.daemons)+1)), flags...)
}

func (e *Env) daemonOn(data string, flags ...string) *Daemon {
	d := &Daemon{Data: data, env: e, argv: append([]string{filepath.Join(e.Bin, "ingot"), "--data", data,
		"daemon", "--interface", lab.Bridge, "--advertise", lab.ServerIP, "--countdown", "3s"}, flags...)}
	e.daemons = append(e.daemons, d)
	return d
}

// LocalDaemon is a daemon beside the lab: it answers on this host alone, under a configuration file, and needs no rights.
// What it prints goes to a file in dir. The caller starts and stops it.
func LocalDaemon(bin, dir, config, data string) *Daemon {
	return &Daemon{Data: data, env: &Env{Dir: dir, Bin: bin, Out: io.Discard}, argv: []string{filepath.Join(bin, "ingot"), "--config", config, "--data", data, "daemon"}}
}

// Start starts the daemon, for the first time or again, and waits until it is ready.
func (d *Daemon) Start(ctx context.Context) error {
	name := filepath.Base(d.Data)
	log := filepath.Join(d.env.Dir, "daemon-"+name+".log")
	before, err := size(log)
	if err != nil {
		return err
	}
	if d.Proc, err = lab.StartProcess("ingot", log, nil, nil, d.argv...); err != nil {
		return err
	}
	for {
		text, err := os.ReadFile(log)
		if err != nil {
			return err
		}
		if bytes.Contains(text[min(before, int64(len(text))):], []byte("ingot is ready")) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the daemon: %w", ctx.Err())
		case <-d.Proc.Done():
			return fmt.Errorf("the daemon ended: %s", d.Proc.Tail(5))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func size(path string) (int64, error) {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// lastWords is what a daemon that ended told the person who started it.
func (d *Daemon) lastWords() string {
	line := d.Proc.Tail(1)
	if !strings.HasPrefix(line, "ingot: ") {
		return ""
	}
	return line
}

// Stop ends the daemon as a service manager does.
func (d *Daemon) Stop() error { return d.Proc.Stop(20 * time.Second) }

// Kill ends the daemon as a power cut does.
func (d *Daemon) Kill() error { return d.Proc.Kill() }

func (e *Env) stopDaemons() error {
	var errs []error
	for _, d := range e.daemons {
		if d.Proc != nil {
			errs = append(errs, d.Stop())
		}
	}
	return errors.Join(errs...)
}

// ExitError is a command line that ended with another code than 0.
type ExitError struct {
	Command string
	Code    int
	Words   string // what it told the person
}

// Error implements error.
func (e *ExitError) Error() string {
	return fmt.Sprintf("ingot %s: exit code %d: %s", e.Command, e.Code, e.Words)
}

// CLI runs one ingot command on the daemon's data folder and returns its standard output.
func (d *Daemon) CLI(ctx context.Context, args ...string) (string, error) {
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, d.argv[0], append([]string{"--data", d.Data}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return out.String(), &ExitError{strings.Join(args, " "), exit.ExitCode(), strings.TrimSpace(errs.String())}
	}
	if err != nil {
		return "", fmt.Errorf("ingot %s: %w", strings.Join(args, " "), err)
	}
	return out.String(), nil
}

// Read runs a listing with -o json and decodes it.
func (d *Daemon) Read(ctx context.Context, into any, args ...string) error {
	out, err := d.CLI(ctx, append(args, "-o", "json")...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), into); err != nil {
		return fmt.Errorf("ingot %s printed no JSON: %w", strings.Join(args, " "), err)
	}
	return nil
}

// Do runs commands whose output does not matter; the first failure ends it.
func (d *Daemon) Do(ctx context.Context, commands ...[]string) error {
	for _, c := range commands {
		if _, err := d.CLI(ctx, c...); err != nil {
			return err
		}
	}
	return nil
}

// cmd splits a command line at its spaces.
func cmd(format string, args ...any) []string { return strings.Fields(fmt.Sprintf(format, args...)) }
