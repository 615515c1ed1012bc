package disk_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"ingot/imaging/disk"
	"ingot/imaging/job"
)

// smartLog is a SMART / Health Information log of a drive in use: 31 degrees, 98 % spare with a limit of 10 %, 3 %
// used, on for 1234 hours.
func smartLog(change func(b []byte)) []byte {
	b := make([]byte, 512)
	binary.LittleEndian.PutUint16(b[1:], 273+31)
	b[3], b[4], b[5] = 98, 10, 3
	binary.LittleEndian.PutUint64(b[128:], 1234)
	if change != nil {
		change(b)
	}
	return b
}

func TestAnNVMeLogSaysHowTheDriveIs(t *testing.T) {
	for name, c := range map[string]struct {
		log  []byte
		want job.HealthState
		text string
	}{
		"a drive in use":          {smartLog(nil), job.HealthGood, "3 % used, 98 % spare, on for 1234 h"},
		"a worn one that works":   {smartLog(func(b []byte) { b[5] = 120 }), job.HealthGood, "120 % used"},
		"too warm":                {smartLog(func(b []byte) { b[0] = 2; b[1] = 0x65 }), job.HealthGood, "temperature out of range"},
		"spare below its limit":   {smartLog(func(b []byte) { b[0] = 1; b[3] = 4 }), job.HealthFailing, "spare blocks are below its limit"},
		"spare low, not said":     {smartLog(func(b []byte) { b[3] = 9 }), job.HealthFailing, "9 % spare is left, its limit is 10 %"},
		"unreliable":              {smartLog(func(b []byte) { b[0] = 4 }), job.HealthFailing, "reliability"},
		"read-only":               {smartLog(func(b []byte) { b[0] = 8 }), job.HealthFailing, "read-only"},
		"no memory backup":        {smartLog(func(b []byte) { b[0] = 16 }), job.HealthFailing, "memory backup"},
		"persistent memory":       {smartLog(func(b []byte) { b[0] = 32 }), job.HealthFailing, "persistent memory"},
		"errors of its medium":    {smartLog(func(b []byte) { b[160] = 7 }), job.HealthFailing, "7 errors of its medium"},
		"errors beyond counting":  {smartLog(func(b []byte) { b[175] = 1 }), job.HealthFailing, "18446744073709551615 errors"},
		"two things at once":      {smartLog(func(b []byte) { b[0] = 12; b[160] = 1 }), job.HealthFailing, "reliability is degraded; it became read-only; 1 errors"},
		"nothing but zeros":       {make([]byte, 512), job.HealthUnknown, "empty"},
		"half a log":              {smartLog(nil)[:256], job.HealthUnknown, "too short"},
		"no log":                  {nil, job.HealthUnknown, "too short"},
		"a bit that nobody knows": {smartLog(func(b []byte) { b[0] = 0x80 }), job.HealthGood, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := disk.NVMeHealth(c.log); got.State != c.want || !strings.Contains(got.Text, c.text) {
				t.Errorf("NVMeHealth = %s; want %q with %q", got, c.want, c.text)
			}
		})
	}
}

// statusReturn is sense data in the descriptor format with an ATA Status Return descriptor (SAT-4, table 188).
func statusReturn(status, mid, high byte) []byte {
	return append([]byte{0x72, 1, 0, 0x1d, 0, 0, 0, 14}, 0x09, 0x0c, 0, 0, 0, 0, 0, 0, 0, mid, 0, high, 0xa0, status)
}

// fixedSense carries the same registers in the fixed format (SAT-4, table 189).
func fixedSense(status, mid, high byte) []byte {
	return []byte{0x70, 0, 1, 0, status, 0xa0, 0, 10, 0, 0, mid, high, 0, 0x1d, 0, 0, 0, 0}
}

func TestAnATAStatusSaysHowTheDriveIs(t *testing.T) {
	for name, c := range map[string]struct {
		sense []byte
		want  job.HealthState
		text  string
	}{
		"good":                          {statusReturn(0x50, 0x4f, 0xc2), job.HealthGood, ""},
		"beyond a threshold":            {statusReturn(0x50, 0xf4, 0x2c), job.HealthFailing, "threshold"},
		"good, in the fixed format":     {fixedSense(0x50, 0x4f, 0xc2), job.HealthGood, ""},
		"failing, in the fixed format":  {fixedSense(0x50, 0xf4, 0x2c), job.HealthFailing, "threshold"},
		"behind another descriptor":     {append([]byte{0x72, 1, 0, 0x1d, 0, 0, 0, 18, 0x02, 2, 0, 0}, statusReturn(0x50, 0xf4, 0x2c)[8:]...), job.HealthFailing, "threshold"},
		"aborted":                       {statusReturn(0x51, 0x4f, 0xc2), job.HealthUnknown, "no SMART"},
		"half of each answer":           {statusReturn(0x50, 0x4f, 0x2c), job.HealthUnknown, "4f2c"},
		"registers of nothing":          {statusReturn(0x50, 0, 0), job.HealthUnknown, "0000"},
		"fixed without the information": {[]byte{0x70, 0, 5, 0, 0x50, 0, 0, 10, 0, 0, 0x4f, 0xc2, 0x20, 0, 0, 0, 0, 0}, job.HealthUnknown, "did not answer"},
		"another descriptor only":       {[]byte{0x72, 5, 0x20, 0, 0, 0, 0, 4, 0x02, 2, 0, 0}, job.HealthUnknown, "did not answer"},
		"a descriptor cut off":          {statusReturn(0x50, 0x4f, 0xc2)[:18], job.HealthUnknown, "did not answer"},
		"no sense data":                 {nil, job.HealthUnknown, "did not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := disk.ATAHealth(c.sense); got.State != c.want || !strings.Contains(got.Text, c.text) {
				t.Errorf("ATAHealth = %s; want %q with %q", got, c.want, c.text)
			}
		})
	}
}

func FuzzATAHealth(f *testing.F) {
	f.Add(statusReturn(0x50, 0x4f, 0xc2))
	f.Add(fixedSense(0x50, 0xf4, 0x2c))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h := disk.ATAHealth(b); h.State == job.HealthUnknown && h.Text == "" {
			t.Error("unknown without a reason")
		}
	})
}
