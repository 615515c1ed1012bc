package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"ingot/cmd/ingot-agent/internal/supply"
	"ingot/firmware/efivar"
	"ingot/imaging/job"
)

// Power implements agent.Machine.
func (l *laptop) Power() job.Power { return supply.Read("/sys/class/power_supply") }

// arch is the architecture of the firmware. UEFI tells the width of its programs, which may be 32 bits on a 64-bit
// processor; a legacy BIOS starts whatever the processor runs.
func arch() string {
	b, err := os.ReadFile("/sys/firmware/efi/fw_platform_size")
	if errors.Is(err, os.ErrNotExist) {
		return "x64"
	}
	switch strings.TrimSpace(string(b)) {
	case "64":
		return "x64"
	case "32":
		return "ia32"
	}
	return ""
}

// Keys implements agent.Firmware.
func (b *bootEntries) Keys() (*efivar.Keys, error) {
	v, err := efivar.Open(efivar.Dir)
	if errors.Is(err, efivar.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	state, err := v.SecureBoot()
	if err != nil {
		return nil, fmt.Errorf("ask for Secure Boot: %w", err)
	}
	if state != efivar.On {
		return nil, nil
	}
	k, err := v.Keys()
	if err != nil {
		return nil, err
	}
	return &k, nil
}
