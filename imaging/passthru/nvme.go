package passthru

import (
	"fmt"
	"time"
)

// NVMe is one admin command (NVM Express Base 2.0, figure 88). The kernel takes the direction of Data from the opcode.
type NVMe struct {
	Opcode  uint8
	NSID    uint32
	CDW     [6]uint32 // 10 to 15
	Data    []byte    // page-aligned is not needed; nil for none
	Timeout time.Duration
}

// Status is a completion's status field without its phase bit: the status code in bits 7:0, its type in 10:8.
type Status uint16

// The codes that something is decided by (figures 94 and 95). Anything else is told as its number.
const (
	NVMeSuccess            Status = 0x0000
	NVMeInvalidOpcode      Status = 0x0001
	NVMeInvalidField       Status = 0x0002
	NVMeInvalidNamespace   Status = 0x000b
	NVMeOperationDenied    Status = 0x0015
	NVMeSanitizeFailed     Status = 0x001c
	NVMeSanitizeInProgress Status = 0x001d
	NVMeWriteProtected     Status = 0x0020
	NVMeInvalidFormat      Status = 0x010a
	NVMeAccessDenied       Status = 0x0286
)

// statusCode leaves out "more" and "do not retry", which say nothing about what happened.
const statusCode = 0x07ff

// Is reports whether s is that code.
func (s Status) Is(code Status) bool { return s&statusCode == code }

// pathRelated is the type of status that the kernel fills in when it could not reach the controller, or gave up on it.
const pathRelated Status = 0x0300

// answered reports whether the controller itself gave s.
func (s Status) answered() bool { return s&0x0700 != pathRelated }

// OK reports success.
func (s Status) OK() bool { return s.Is(NVMeSuccess) }

func (s Status) String() string { return fmt.Sprintf("%#04x", uint16(s)) }

// NVMeReply is the controller's answer.
type NVMeReply struct {
	Status Status
	Result uint32 // dword 0 of the completion
}
