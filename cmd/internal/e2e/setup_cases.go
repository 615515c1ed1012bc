package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// setupCases prove "ingot setup" where systemd runs; five-commands proves it where none does.
func setupCases() []Case {
	return []Case{
		{"setup", "on a server with systemd: setup starts the service, also on another data folder; a laptop is answered, a member of the group works without sudo, a file that only root may read is imported, the doctor is content",
			needPlain, setupOnServer},
	}
}

func setupOnServer(ctx context.Context, e *Env) error {
	srv, err := startServer(ctx, e)
	if err != nil {
		return err
	}
	h, err := e.Bench.AddHost(ctx, "probe", "10.77.0.9")
	if err != nil {
		return err
	}
	if err := h.Connect(ctx, serverSwitch, "eth1", "10.78.0.9/24"); err != nil {
		return err
	}
	w, err := wireOn(h, "eth1")
	if err != nil {
		return err
	}
	defer w.close() // only read from
	s := &served{server: srv, Env: e, wire: w}
	for _, step := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"from a first configuration to a laptop that is answered", s.setUp}, {"a member of the group", s.member},
		{"a file that only root may read", s.passesFile}, {"another data folder", s.movesData},
	} {
		e.Say("--- %s", step.name)
		if err := s.within(ctx, step.run); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

// setUp takes the service back to what "make install" leaves, and runs setup.
func (s *served) setUp(ctx context.Context) error {
	if _, err := s.sh.Run(ctx, "systemctl -q disable --now ingot; ingot --config /dev/null config show >/etc/ingot/ingot.toml"); err != nil {
		return err
	}
	got, err := s.setup(ctx, "")
	if err != nil {
		return err
	}
	if err := checks(same("the interface", got.Interface, serverCard), same("the mode", got.Mode, "dhcp"), same("the bundle", got.Bundle, "kept"), same("the service", got.Service, "running")); err != nil {
		return err
	}
	if err := s.worksNow(ctx); err != nil {
		return err
	}
	pid, err := s.sh.Run(ctx, "echo "+mainPID)
	if err != nil {
		return err
	}
	if got, err = s.setup(ctx, ""); err != nil {
		return err
	}
	again, err := s.sh.Run(ctx, "echo "+mainPID)
	return checks(err, same("whether a second run changed anything", got.Changed, false), same("the daemon's process after it", again, pid))
}

// setupDone is what setup tells with -o json.
type setupDone struct {
	Changed                          bool
	Interface, Mode, Bundle, Service string
	Data                             string
}

func (s *served) setup(ctx context.Context, flags string) (d setupDone, err error) {
	out, err := s.sh.Run(ctx, "ingot setup --yes -o json "+flags+" 2>/tmp/steps; code=$?; cat /tmp/steps >&2; (exit $code)")
	if err != nil {
		return d, err
	}
	from := strings.Index(out, "{")
	to := strings.LastIndex(out, "}")
	if from < 0 || to < from {
		return d, fmt.Errorf("setup printed no JSON: %s", out)
	}
	return d, json.Unmarshal([]byte(out[from:to+1]), &d)
}

// worksNow holds that the service runs and starts by itself, answers a laptop, and that the doctor finds no fault.
func (s *served) worksNow(ctx context.Context) error {
	if _, err := s.sh.Run(ctx, "systemctl -q is-active ingot && systemctl -q is-enabled ingot"); err != nil {
		return err
	}
	if _, err := s.ingot(ctx, "bench open 8h"); err != nil {
		return err
	}
	if err := s.answered(ctx, serverAddr, bootFrom(serverAddr)); err != nil {
		return err
	}
	// The lab's server is small, and nothing keeps its clock: that much the doctor must find, and nothing else.
	out, err := s.sh.Run(ctx, "ingot doctor; [ $? = 1 ]")
	s.Say("the doctor says\n%s", out)
	for _, l := range strings.Split(out, "\n") {
		if f := strings.Fields(l); len(f) > 1 && (f[0] == "warn" || f[0] == "fail") && f[1] != "disk" && f[1] != "clock" {
			err = errors.Join(err, fmt.Errorf("the doctor finds %q", l))
		}
	}
	return checks(err, that(strings.Contains(out, "fail  disk"), "the doctor does not find that the disk is small"), that(strings.Contains(out, "Ingot has UDP 67, UDP 4011, UDP 69, TCP 80, TCP 8443"), "the doctor does not find our ports"),
		that(strings.Contains(out, "/var/lib/ingot belongs to ingot") || strings.Contains(out, "/srv/records belongs to ingot"), "the doctor does not find our folder"))
}

// member holds that the group's members work without sudo under their own names, and others do not.
func (s *served) member(ctx context.Context) error {
	if _, err := s.sh.Run(ctx, "useradd -G ingot anna && useradd bert"); err != nil {
		return err
	}
	if _, err := s.sh.Run(ctx, "setpriv --reuid=anna --regid=anna --init-groups ingot bench open 2h"); err != nil {
		return err
	}
	out, err := s.sh.Run(ctx, "ingot audit")
	if err := checks(err, that(strings.Contains(out, "anna") && !strings.Contains(out, "bert"), "the audit trail names others: %s", out)); err != nil {
		return err
	}
	out, err = s.sh.Run(ctx, "setpriv --reuid=bert --regid=bert --init-groups ingot bench close 2>&1")
	return checks(that(err != nil, "bert may use the daemon: %s", out), that(strings.Contains(out, "group ingot"), "bert is told %q", out))
}

// passesFile imports and exports through a service that sees neither /root nor what only root may read.
func (s *served) passesFile(ctx context.Context) error {
	out, err := s.sh.Run(ctx, `cd /root && truncate -s 16M own.raw && dd if=/dev/urandom of=own.raw bs=1M count=2 seek=3 conv=notrunc status=none && chmod 600 own.raw &&
ingot -q image import own.raw --image own -o name && ingot -q image export own back.raw && cmp own.raw back.raw && stat -c '%U %a' back.raw && rm own.raw back.raw`)
	s.Say("%s", out)
	return checks(err, that(strings.Contains(out, "own@1"), "the import says %q", out), that(strings.HasSuffix(strings.TrimSpace(out), "root 600"), "the exported file is %q", out))
}

// movesData sets the service up on a folder that its unit does not know.
func (s *served) movesData(ctx context.Context) error {
	got, err := s.setup(ctx, "--data /srv/records --no-bundle")
	if err != nil {
		return err
	}
	out, err := s.sh.Run(ctx, "stat -c '%U %G %a' /srv/records /srv/records/ingot.sock; cat /etc/systemd/system/ingot.service.d/data.conf; ls /etc/ingot")
	return checks(err, same("the data folder", got.Data, "/srv/records"), same("the service", got.Service, "running"),
		that(strings.Contains(out, "ingot ingot 710\ningot ingot 660\n"), "the folder and its socket: %s", out),
		that(strings.Contains(out, `ReadWritePaths="/srv/records"`) && strings.Contains(out, "ingot.toml.old"), "what setup wrote: %s", out))
}
