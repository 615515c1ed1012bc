package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"ingot/cmd/ingot-agent/internal/screen"
	"ingot/imaging/agent"
	"ingot/imaging/job"
)

// failedFor is how long process 1 leaves the failure on the screen before it resets.
const failedFor = 2 * time.Minute

type mount struct{ source, target, kind, options string }

// mounts are the kernel's file systems, in order. efivarfs comes later, with its module.
var mounts = []mount{
	{"proc", "/proc", "proc", ""},
	{"sysfs", "/sys", "sysfs", ""},
	{"devtmpfs", "/dev", "devtmpfs", "mode=0755"},
	{"tmpfs", "/run", "tmpfs", "mode=0755"},
	{"tmpfs", "/tmp", "tmpfs", "mode=1777"},
	{"securityfs", "/sys/kernel/security", "securityfs", ""},
}

// runInit is process 1. It never returns: its end would be a kernel panic.
func runInit() {
	var trouble []string
	for _, m := range mounts {
		if err := mountOne(m); err != nil {
			trouble = append(trouble, err.Error())
		}
	}
	settings := map[string]string{
		"/proc/sys/kernel/printk":         "3 4 1 3", // the screen is ours; errors still show on the serial console
		"/proc/sys/kernel/modprobe":       "/init",
		"/proc/sys/kernel/panic":          "60", // seconds until the kernel resets by itself
		"/proc/self/oom_score_adj":        "-1000",
		"/proc/sys/vm/dirty_bytes":        "67108864", // small files only: disks are written past the cache
		"/proc/sys/kernel/sysrq":          "0",
		"/proc/sys/fs/protected_symlinks": "1",
	}
	for path, value := range settings {
		if err := os.WriteFile(path, []byte(value), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
			trouble = append(trouble, err.Error())
		}
	}
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_CAD_OFF); err != nil { // Ctrl-Alt-Del must not cut a write short
		trouble = append(trouble, "switch Ctrl-Alt-Del off: "+err.Error())
	}
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	serial := openSerial()
	for _, t := range trouble {
		fmt.Fprintf(serial, "ingot: %s\r\n", t)
	}
	why := superviseWorker(serial)
	fmt.Fprintf(serial, "ingot: failed %s the agent ended: %s\r\n", job.CodeInternal, why)
	showEnd()
	time.Sleep(failedFor)
	unix.Sync()
	for {
		_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART) // there is nobody left to tell
		time.Sleep(time.Second)
	}
}

func mountOne(m mount) error {
	if err := os.MkdirAll(m.target, 0o755); err != nil {
		return fmt.Errorf("mount %s: %w", m.target, err)
	}
	err := unix.Mount(m.source, m.target, m.kind, unix.MS_NOSUID|unix.MS_NOEXEC, m.options)
	if err != nil && !errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("mount %s: %w", m.target, err)
	}
	return nil
}

// superviseWorker starts the worker, hands its last words (a panic's trace) to the serial console, and says how
// it ended. Everything else that ends as a child of process 1 is reaped on the way.
func superviseWorker(serial io.Writer) string {
	words, pipe, err := os.Pipe()
	if err != nil {
		return err.Error()
	}
	cmd := exec.Command("/init", "worker")
	cmd.Stdout, cmd.Stderr = pipe, pipe
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "GOTRACEBACK=single"}
	if err := cmd.Start(); err != nil {
		return err.Error()
	}
	pipe.Close()
	go func() {
		sc := bufio.NewScanner(words)
		for sc.Scan() {
			fmt.Fprintf(serial, "%s\r\n", sc.Bytes())
		}
	}()
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil) // every child: nothing here calls cmd.Wait
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err.Error()
		case pid == cmd.Process.Pid && status.Exited():
			return fmt.Sprintf("exit status %d", status.ExitStatus())
		case pid == cmd.Process.Pid && status.Signaled():
			return "signal " + status.Signal().String()
		}
	}
}

// showEnd draws the one failure that process 1 itself can tell.
func showEnd() {
	w := job.CodeInternal.Words()
	v := agent.View{Word: "failed", Colour: agent.Red, Bar: -1, Left: -1, Sentence: w.Sentence, Next: w.Next, Fault: job.CodeInternal, SafeTo: agent.UnplugAllowed}
	if fb, err := screen.OpenFramebuffer("/dev/fb0"); err == nil {
		fb.Draw(screen.Render(v, fb.Width, fb.Height))
		return
	}
	if tty, err := os.OpenFile("/dev/tty0", os.O_WRONLY|unix.O_NOCTTY, 0); err == nil {
		_, _ = io.WriteString(tty, screen.Text(v, 80, 25))
	}
}

// modulesDir is the one folder below /lib/modules for the kernel that runs.
func modulesDir() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", fmt.Errorf("ask for the kernel's version: %w", err)
	}
	release := string(bytes.TrimRight(u.Release[:], "\x00"))
	if strings.ContainsAny(release, "/\x00") {
		return "", fmt.Errorf("the kernel's version is %q", release)
	}
	return filepath.Join("/lib/modules", release), nil
}

func isOverrun(err error) bool { return errors.Is(err, unix.EPIPE) }
