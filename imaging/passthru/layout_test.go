package passthru

import (
	"testing"
	"unsafe"
)

// TestAStatusThatTheKernelMadeUpIsNoAnswer: when the path to a controller breaks, the kernel itself fills in a status of type
// 3, and nobody knows whether the controller saw the command.
func TestAStatusThatTheKernelMadeUpIsNoAnswer(t *testing.T) {
	for status, answered := range map[Status]bool{0: true, 0x4001: true, 0x001d: true, 0x010a: true, 0x0286: true,
		0x0300: false, 0x0370: false, 0x0371: false, 0x4371: false} {
		r, err := answerOf(NVMe{Opcode: 0x84}, "/dev/nvme0n1", status, 7)
		if (err == nil) != answered {
			t.Errorf("status %s: error %v; want an answer %t", status, err, answered)
		}
		if err == nil && (r.Status != status || r.Result != 7) {
			t.Errorf("status %s came as %+v", status, r)
		}
	}
}

// TestTheKernelsStructsAreLaidOutAsItHasThem compares with linux/nvme_ioctl.h, scsi/sg.h, linux/mmc/ioctl.h and
// linux/sed-opal.h on 64-bit machines. The numbers of the calls carry the size of three of them.
func TestTheKernelsStructsAreLaidOutAsItHasThem(t *testing.T) {
	var n nvmeAdmin
	var s sgHeader
	var m mmcCmd
	var o opalKey
	for name, c := range map[string][2]uintptr{
		"nvme_admin_cmd":              {unsafe.Sizeof(n), 72},
		"nvme_admin_cmd in its ioctl": {unsafe.Sizeof(n), nvmeIoctlAdmin >> 16 & 0x3fff},
		"nvme addr":                   {unsafe.Offsetof(n.addr), 24},
		"nvme data_len":               {unsafe.Offsetof(n.dataLen), 36},
		"nvme cdw10":                  {unsafe.Offsetof(n.cdw), 40},
		"nvme timeout_ms":             {unsafe.Offsetof(n.timeout), 64},
		"sg_io_hdr":                   {unsafe.Sizeof(s), 88},
		"sg dxferp":                   {unsafe.Offsetof(s.data), 16},
		"sg cmdp":                     {unsafe.Offsetof(s.cmd), 24},
		"sg sbp":                      {unsafe.Offsetof(s.sense), 32},
		"sg timeout":                  {unsafe.Offsetof(s.timeout), 40},
		"sg status":                   {unsafe.Offsetof(s.status), 64},
		"sg sb_len_wr":                {unsafe.Offsetof(s.senseWritten), 67},
		"sg host_status":              {unsafe.Offsetof(s.host), 68},
		"mmc_ioc_cmd":                 {unsafe.Sizeof(m), 72},
		"mmc_ioc_cmd in its ioctl":    {unsafe.Sizeof(m), mmcIocCmd >> 16 & 0x3fff},
		"mmc response":                {unsafe.Offsetof(m.response), 16},
		"mmc flags":                   {unsafe.Offsetof(m.flags), 32},
		"mmc cmd_timeout_ms":          {unsafe.Offsetof(m.cmdTimeout), 56},
		"mmc data_ptr":                {unsafe.Offsetof(m.data), 64},
		"opal_key":                    {unsafe.Sizeof(o), 264},
		"opal_key in its ioctl":       {unsafe.Sizeof(o), opalPSIDRevert >> 16 & 0x3fff},
		"opal key":                    {unsafe.Offsetof(o.key), 8},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: %d; want %d", name, c[0], c[1])
		}
	}
}
