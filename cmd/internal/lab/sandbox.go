package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
)

// insideVar marks the process that already lives in the namespaces.
const insideVar = "INGOT_LAB_INSIDE"

// Inside reports whether this process already lives in the lab's namespaces.
func Inside() bool { return os.Getenv(insideVar) != "" }

// Enter runs this program again, with the same arguments, in new network, mount and process namespaces, and
// reports the exit code of that run with ran true. In the inner run it prepares the namespaces and returns ran
// false: the caller goes on. It needs root. When the outer process dies, even by SIGKILL, the kernel kills
// every process inside.
func Enter() (code int, ran bool, err error) {
	if Inside() {
		return 0, false, settle()
	}
	if os.Geteuid() != 0 {
		return 1, true, errors.New("the lab makes a network namespace and needs root: run it with sudo")
	}
	self, err := os.Executable()
	if err != nil {
		return 1, true, fmt.Errorf("find this program: %w", err)
	}
	// The death signal is bound to the thread that starts the child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideVar+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
	if err := cmd.Start(); err != nil {
		return 1, true, fmt.Errorf("make the lab's namespaces: %w", err)
	}
	forward(cmd.Process)
	err = cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return max(exit.ExitCode(), 1), true, nil
	}
	return 0, true, err
}

// forward passes an interrupt on to the inner run, which ends its laptops and then itself.
func forward(p *os.Process) {
	sig := make(chan os.Signal, 1)
	signal.Notify(sig, os.Interrupt, syscall.SIGTERM)
	go func() { // ends with the process
		for s := range sig {
			_ = p.Signal(s) // it may have ended meanwhile
		}
	}()
}

// settle makes the inner run's mounts private and gives it its own /proc and its own place for named network
// namespaces, so that the host sees neither.
func settle() error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := os.MkdirAll("/run/netns", 0o755); err != nil {
		return err
	}
	if err := syscall.Mount("netns", "/run/netns", "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("mount /run/netns: %w", err)
	}
	return nil
}
