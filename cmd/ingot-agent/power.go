package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// power is agent.Power on real hardware.
type power struct{ say func(string) }

// Reset implements agent.Power.
func (p power) Reset() error { return p.end("resetting", unix.LINUX_REBOOT_CMD_RESTART) }

// Off implements agent.Power.
func (p power) Off() error { return p.end("switching off", unix.LINUX_REBOOT_CMD_POWER_OFF) }

func (p power) end(word string, how int) error {
	p.say(word)
	unix.Sync()
	if err := unix.Reboot(how); err != nil {
		return fmt.Errorf("%s: %w", word, err)
	}
	return errors.New("the kernel went on")
}
