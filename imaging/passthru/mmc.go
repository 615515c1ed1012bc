package passthru

import "time"

// MMC is one command to an eMMC (linux/mmc/ioctl.h).
type MMC struct {
	Opcode  uint32
	Arg     uint32
	Flags   uint32 // response and command type, as the kernel's mmc/core.h numbers them
	Write   bool
	Data    []byte // whole blocks of 512 bytes; nil for none
	Timeout time.Duration
}

// The flags of the two commands that are used.
const (
	MMCReadRegister = 1<<0 | 1<<2 | 1<<4 | 1<<5 | 1<<7 // R1 and a data transfer: SEND_EXT_CSD (CMD8)
	MMCSwitch       = 1<<0 | 1<<2 | 1<<3 | 1<<4 | 1<<7 // R1b, no data: SWITCH (CMD6)
)

// MMCReply is the card's answer.
type MMCReply struct {
	Response uint32 // R1: the card's status
}

// mmcErrors are R1's error bits (JESD84-B51, 6.13).
const mmcErrors = 0xfdf9a080

// OK reports that R1 holds no error.
func (r MMCReply) OK() bool { return r.Response&mmcErrors == 0 }
