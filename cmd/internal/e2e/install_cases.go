package e2e

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"ingot/cmd/internal/golden"
	"ingot/cmd/internal/lab"
)

// fiveCommandsCase is the one case that fetches packages while it runs.
const fiveCommandsCase = "five-commands"

// installCases prove how Ingot gets onto a server.
func installCases() []Case {
	return []Case{
		{fiveCommandsCase, "a clean Debian 12 without systemd goes from nothing to an open bench in five commands, as testdata/five-commands.txt has them", nil, fiveCommands},
	}
}

// NeedNetwork reports whether a case fetches something while it runs, through the lab's gateway.
func NeedNetwork(cases []Case) bool {
	return slices.ContainsFunc(cases, func(c Case) bool { return c.Name == fiveCommandsCase })
}

// needsBundle reports whether a case wants the lab's boot bundle; five-commands builds its own.
func needsBundle(c Case) bool { return c.Name != fiveCommandsCase }

// transcript is what a newcomer types and sees, with what differs from run to run masked.
//
//go:embed testdata/five-commands.txt
var transcript string

// FiveCommands are the command lines of the transcript.
func FiveCommands() (out []string) {
	for _, l := range strings.Split(transcript, "\n") {
		if c, ok := strings.CutPrefix(l, "$ "); ok {
			out = append(out, c)
		}
	}
	return out
}

func fiveCommands(ctx context.Context, e *Env) (err error) {
	room, err := e.cleanRoom(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, room.Close()) }()
	context.AfterFunc(ctx, func() { room.Close() })
	w, err := newWire(ctx, e)
	if err != nil {
		return err
	}
	defer w.close()
	var seen strings.Builder
	for n, c := range FiveCommands() {
		e.Say("%s", c)
		out, err := room.Run(c)
		if err != nil {
			return err
		}
		fmt.Fprint(e.Out, out)
		fmt.Fprintf(&seen, "$ %s\n%s", c, masked(out))
		if strings.HasSuffix(c, "&") {
			if err := e.standsClosed(ctx, room, w); err != nil {
				return fmt.Errorf("after command %d: %w", n+1, err)
			}
		}
	}
	fmt.Fprintf(e.Out, "--- the transcript, masked\n%s---\n", seen.String())
	return checks(that(len(FiveCommands()) <= 5, "%d commands; want at most 5", len(FiveCommands())), same("the transcript", seen.String(), transcript),
		e.standsOpen(ctx, room, w))
}

// newcomer is who sits at the clean room's shell.
const newcomer = "helpdesk"

// cleanRoom is a Debian with the four packages that a newcomer needs to begin: make, git, sudo and certificates.
func (e *Env) cleanRoom(ctx context.Context) (*lab.CleanRoom, error) {
	mirror, _, err := golden.Archives(ctx)
	if err != nil {
		return nil, err
	}
	proxy, err := e.Bench.Gateway(ctx)
	if err != nil {
		return nil, err
	}
	e.Say("a clean Debian 12")
	room, err := e.Bench.NewCleanRoom(ctx, e.Dir, proxy, newcomer, lab.Debian{Mirror: mirror, Packages: []string{"ca-certificates", "make", "git", "sudo"},
		Cache: filepath.Join(e.Cache, "clean-bookworm.tar")})
	if err != nil {
		return nil, err
	}
	tree := filepath.Dir(e.Bin)
	bare := filepath.Join(room.Root, "srv", "ingot.git")
	for _, args := range [][]string{
		{"-c", "safe.directory=" + tree, "clone", "-q", "--bare", tree, bare},
		{"--git-dir", bare, "update-ref", "refs/heads/main", "HEAD"}, // the checkout may be of a commit, as a CI's is: git would give advice
		{"--git-dir", bare, "symbolic-ref", "HEAD", "refs/heads/main"},
	} {
		if _, err := lab.Command(ctx, append([]string{"git"}, args...)...); err != nil {
			return nil, errors.Join(err, room.Close())
		}
	}
	_, err = room.Run("sudo chown -R " + newcomer + ": /srv/ingot.git")
	return room, err
}

// standsClosed waits for the daemon and holds that the service's user answers, and that an unknown machine gets no
// byte of a boot file yet.
func (e *Env) standsClosed(ctx context.Context, room *lab.CleanRoom, w *wire) error {
	for {
		if _, err := room.Run("sudo test -S /var/lib/ingot/ingot.sock"); err == nil {
			break
		}
		if err := pause(ctx, "the daemon in the clean room"); err != nil {
			return err
		}
	}
	out, err := room.Run("sudo find /var/lib/ingot ! -user ingot; for p in /proc/[0-9]*; do if [ \"$(cat $p/comm 2>/dev/null)\" = ingot ]; then sed -n 's/^Uid:\\t\\([0-9]*\\).*/\\1/p' $p/status; fi; done | sort -u | xargs getent passwd | cut -d: -f1")
	if err != nil {
		return err
	}
	if err := same("whose the daemon and its files are", strings.TrimSpace(out), "ingot"); err != nil {
		return err
	}
	m := w.machine(1, classPXE, archX64)
	ack, err := m.lease(ctx, lab.ServerIP)
	if err != nil {
		return err
	}
	got, err := m.tftp(ctx, ack.BootFileName, whole)
	e.Say("bench closed: an unknown machine is offered %q and gets %d bytes (%v)", ack.BootFileName, len(got), err)
	return that(err != nil && len(got) == 0, "an unknown machine got %d bytes of %s while the bench was closed", len(got), ack.BootFileName)
}

// standsOpen holds that an unknown machine is now given the boot loader that the packages hold, and that the doctor
// finds nothing that keeps laptops from starting.
func (e *Env) standsOpen(ctx context.Context, room *lab.CleanRoom, w *wire) error {
	m := w.machine(2, classPXE, archX64)
	ack, err := m.lease(ctx, lab.ServerIP)
	if err != nil {
		return err
	}
	got, err := m.tftp(ctx, ack.BootFileName, whole)
	if err != nil {
		return err
	}
	shims, err := filepath.Glob(filepath.Join(room.Root, "var/lib/ingot/boot/current/shimx64.efi"))
	if err != nil || len(shims) != 1 {
		return fmt.Errorf("find the boot bundle's shim: %v, %w", shims, err)
	}
	want, err := os.ReadFile(shims[0])
	if err != nil {
		return err
	}
	e.Say("bench open: an unknown machine gets %q, %d bytes", ack.BootFileName, len(got))
	if err := that(string(got) == string(want), "the boot loader on the wire is not the bundle's"); err != nil {
		return err
	}
	out, err := room.Run("sudo ingot doctor || test $? = 3") // nothing keeps the lab's clock
	e.Say("the doctor says\n%s", out)
	if err != nil {
		return err
	}
	return goesAndStays(room)
}

// goesAndStays takes Ingot off again: programs go, records and configuration stay.
func goesAndStays(room *lab.CleanRoom) error {
	if _, err := room.Run("make uninstall"); err != nil {
		return err
	}
	out, err := room.Run("cd; for f in $(command -v ingot) /usr/local/share/man/man1/ingot*.1 /usr/local/lib/systemd/system/ingot.service /etc/ingot/ingot.toml; do test -e $f && echo $f; done; sudo ls /var/lib/ingot/ingot.db")
	if err != nil {
		return err
	}
	return same("what is left", strings.TrimSpace(out), "/etc/ingot/ingot.toml\n/var/lib/ingot/ingot.db")
}

// masked hides what differs from run to run: what apt, Go and the compiler say, versions, times.
func masked(out string) string {
	var b strings.Builder
	hidden := false
	for _, l := range strings.SplitAfter(out, "\n") {
		l = timeWords.ReplaceAllString(l, "TIME")
		if l == "" || shown.MatchString(l) {
			b.WriteString(l)
			hidden = false
			continue
		}
		if !hidden {
			b.WriteString("...\n")
		}
		hidden = true
	}
	return b.String()
}

var (
	timeWords = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`)
	shown     = regexp.MustCompile(`^(installed: |configuration: |data folder: |next: |asking |no DHCP server |/etc/ingot/ingot\.toml: |building the boot bundle |no systemd |Laptops are |Next:|  sudo ingot |the bench is |But )`)
)
