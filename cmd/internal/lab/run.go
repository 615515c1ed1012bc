package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Run is one time of a laptop between power on and power off. A guest's own reset stays within it.
type Run struct {
	Console *Console

	laptop  *Laptop
	qemu    *Process
	tpm     *Process
	monitor *monitor
	log     *os.File
}

// PowerOn presses the power button. The laptop runs until it switches itself off, PowerOff or Kill.
func (l *Laptop) PowerOn(ctx context.Context) (*Run, error) {
	l.runs++
	r := &Run{laptop: l}
	if err := r.start(ctx); err != nil {
		return nil, fmt.Errorf("power on %s: %w", l.Name, err)
	}
	return r, nil
}

func (r *Run) start(ctx context.Context) error {
	l := r.laptop
	for _, kind := range []string{"qmp", "tpm", "qtest"} {
		if err := os.Remove(l.socket(kind)); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	if l.TPM {
		if err := r.startTPM(ctx); err != nil {
			return err
		}
	}
	argv, err := l.args(ctx)
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(l.bench.Dir, fmt.Sprintf("%s-console-%d.log", l.Name, l.runs)))
	if err != nil {
		return err
	}
	stdin, keyboard, err := os.Pipe()
	if err != nil {
		log.Close()
		return err
	}
	r.log, r.Console = log, newConsole(keyboard, log)
	r.qemu, err = StartProcess("qemu-"+l.Name, filepath.Join(l.bench.Dir, l.Name+"-qemu.log"), stdin, r.Console, argv...)
	stdin.Close() // QEMU has its own end
	if err != nil {
		return err
	}
	l.bench.adopt(r.qemu)
	go func() { // ends with QEMU
		<-r.qemu.Done()
		keyboard.Close()
		r.Console.Close() // never fails
		log.Close()
	}()
	r.monitor, err = dialMonitor(ctx, l.socket("qmp"), r.qemu.Done())
	if err != nil {
		return fmt.Errorf("%w: %s", err, r.qemu.Tail(5))
	}
	return nil
}

// startTPM starts the TPM emulator; it ends with QEMU.
func (r *Run) startTPM(ctx context.Context) error {
	l := r.laptop
	state := filepath.Join(l.dir, "tpmstate")
	if err := os.MkdirAll(state, 0o755); err != nil {
		return err
	}
	tpm, err := l.bench.Start("swtpm-"+l.Name, "swtpm", "socket", "--tpm2", "--tpmstate", "dir="+state, "--ctrl", "type=unixio,path="+l.socket("tpm"))
	if err != nil {
		return err
	}
	r.tpm = tpm
	for {
		if _, err := os.Stat(l.socket("tpm")); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tpm.Done():
			return fmt.Errorf("the TPM emulator ended: %s", tpm.Tail(5))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Off is closed when the laptop is off.
func (r *Run) Off() <-chan struct{} { return r.qemu.Done() }

// WaitOff waits until the laptop has switched itself off.
func (r *Run) WaitOff(ctx context.Context) error {
	select {
	case <-r.Off():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for %s to switch off: %w", r.laptop.Name, ctx.Err())
	}
}

// Kill pulls the plug: nothing is flushed.
func (r *Run) Kill() error { return r.qemu.Kill() }

// PressPower presses the power button shortly: a running system shuts down.
func (r *Run) PressPower() error {
	_, err := r.monitor.do("system_powerdown", nil)
	return err
}

// Reset presses the reset button.
func (r *Run) Reset() error {
	_, err := r.monitor.do("system_reset", nil)
	return err
}

// Cable plugs the first card's cable in or out.
func (r *Run) Cable(in bool) error {
	_, err := r.monitor.do("set_link", map[string]any{"name": "nic0", "up": in})
	return err
}

// Unlimit takes the write limit off the first drive.
func (r *Run) Unlimit() error {
	_, err := r.monitor.human("block_set_io_throttle d0 0 0 0 0 0 0")
	return err
}

// Screenshot saves what the screen shows as a PNG file.
func (r *Run) Screenshot(path string) error {
	_, err := r.monitor.do("screendump", map[string]any{"filename": path, "format": "png"})
	return err
}

// Monitor runs a line of QEMU's monitor for people.
func (r *Run) Monitor(line string) (string, error) { return r.monitor.human(line) }
