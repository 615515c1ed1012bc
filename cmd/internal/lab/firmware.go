package lab

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Firmware is what a laptop runs before anything of ours.
type Firmware string

// The kinds of firmware. BIOS starts from the network by the iPXE in its card's ROM. UEFI uses the firmware's
// own PXE stack: the card gets no ROM. SecureBoot has Microsoft's keys enrolled and enforces them.
const (
	BIOS           Firmware = "bios"
	UEFI           Firmware = "uefi"
	SecureBoot     Firmware = "secureboot"
	HTTPBoot       Firmware = "httpboot"            // UEFI that starts by HTTP, not by PXE
	SecureHTTPBoot Firmware = "secureboot-httpboot" // the same with Secure Boot
	NoThirdParty   Firmware = "secureboot-no-third" // Secure Boot without Microsoft's certificate for other makers' loaders
)

const ovmf = "/usr/share/OVMF/"

// IsUEFI reports whether the firmware keeps boot entries in variables.
func (f Firmware) IsUEFI() bool { return f != BIOS }

// secure reports whether Secure Boot is on.
func (f Firmware) secure() bool { return f == SecureBoot || f == SecureHTTPBoot || f == NoThirdParty }

// args returns QEMU's machine and firmware arguments. The variables live in dir, made at the first power on
// from the distribution's template, and persist like a laptop's own.
func (f Firmware) args(dir string) ([]string, error) {
	if !f.IsUEFI() {
		return []string{"-machine", "q35"}, nil
	}
	code, template, machine := "OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd", "q35"
	var extra []string
	if f.secure() {
		code, template, machine = "OVMF_CODE_4M.ms.fd", "OVMF_VARS_4M.ms.fd", "q35,smm=on"
		extra = []string{"-global", "driver=cfi.pflash01,property=secure,value=on", "-global", "ICH9-LPC.disable_s3=1"}
	}
	if f == NoThirdParty {
		template = "OVMF_VARS_4M.snakeoil.fd" // enforces keys, among which none of Microsoft's is
	}
	vars := filepath.Join(dir, "vars.fd")
	if err := copyOnce(ovmf+template, vars); err != nil {
		return nil, fmt.Errorf("make the firmware's variables: %w", err)
	}
	args := append([]string{"-machine", machine}, extra...)
	args = append(args,
		"-drive", "if=pflash,format=raw,unit=0,readonly=on,file="+ovmf+code,
		"-drive", "if=pflash,format=raw,unit=1,file="+vars,
		"-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n") // unanswered, it costs a minute at each start
	if f == HTTPBoot || f == SecureHTTPBoot {
		args = append(args, "-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n")
	}
	return args, nil
}

// cardROM is the argument that takes the iPXE ROM out of a card, so that the firmware's own stack is used.
func (f Firmware) cardROM() string {
	if f.IsUEFI() {
		return ",romfile="
	}
	return ""
}

func copyOnce(from, to string) error {
	if _, err := os.Stat(to); err == nil {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
