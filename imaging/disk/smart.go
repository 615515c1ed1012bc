package disk

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"ingot/imaging/job"
	"ingot/imaging/passthru"
)

// smartLogSize is the length of NVMe's SMART / Health Information log page (02h) in bytes.
const smartLogSize = 512

// nvmeWarnings are the bits of the log's byte 0 that say that the drive is failing. Bit 1, a temperature out of
// range, passes and is only told.
var nvmeWarnings = []struct {
	bit  byte
	text string
}{
	{1 << 0, "spare blocks are below its limit"},
	{1 << 2, "its reliability is degraded"},
	{1 << 3, "it became read-only"},
	{1 << 4, "its memory backup has failed"},
	{1 << 5, "its persistent memory is unreliable"},
}

// NVMeHealth reads a SMART / Health Information log (NVM Express Base 2.0, figure 207). A log that no drive can
// send, such as one of zeros, is unknown.
func NVMeHealth(log []byte) job.Health {
	if len(log) < smartLogSize {
		return job.Health{Text: "the drive's log is too short"}
	}
	kelvin := binary.LittleEndian.Uint16(log[1:])
	spare, limit, used := log[3], log[4], log[5]
	if kelvin == 0 && spare == 0 && used == 0 { // every drive has a temperature
		return job.Health{Text: "the drive's log is empty"}
	}
	var wrong []string
	for _, w := range nvmeWarnings {
		if log[0]&w.bit != 0 {
			wrong = append(wrong, w.text)
		}
	}
	if spare < limit && log[0]&1 == 0 {
		wrong = append(wrong, fmt.Sprintf("%d %% spare is left, its limit is %d %%", spare, limit))
	}
	media := counter(log[160:176])
	if media > 0 {
		wrong = append(wrong, fmt.Sprintf("%d errors of its medium", media))
	}
	if len(wrong) > 0 {
		return job.Health{State: job.HealthFailing, Text: strings.Join(wrong, "; ")}
	}
	h := job.Health{State: job.HealthGood, Text: fmt.Sprintf("%d %% used, %d %% spare, on for %d h", used, spare, counter(log[128:144]))}
	if log[0]&(1<<1) != 0 {
		h.Text += fmt.Sprintf(", temperature out of range at %d C", int(kelvin)-273)
	}
	return h
}

// counter reads a 128-bit little-endian number; what does not fit into 64 bits is their maximum.
func counter(b []byte) uint64 {
	if binary.LittleEndian.Uint64(b[8:]) != 0 {
		return math.MaxUint64
	}
	return binary.LittleEndian.Uint64(b)
}

// The answer to SMART RETURN STATUS in LBA mid and high (ACS-4, 7.46.7).
const (
	smartGoodMid, smartGoodHigh = 0x4f, 0xc2
	smartFailMid, smartFailHigh = 0xf4, 0x2c
)

// ATAHealth reads the sense data that an ATA PASS-THROUGH with CK_COND brings back (SAT-4, 12.2.2.7), in the
// descriptor or the fixed format. Anything but one of the two answers is unknown.
func ATAHealth(sense []byte) job.Health {
	r, ok := passthru.ParseSense(sense)
	mid, high := byte(r.LBA>>8), byte(r.LBA>>16)
	switch {
	case !ok:
		return job.Health{Text: "the drive did not answer"}
	case !r.OK():
		return job.Health{Text: "the drive knows no SMART, or it is switched off"}
	case mid == smartGoodMid && high == smartGoodHigh:
		return job.Health{State: job.HealthGood}
	case mid == smartFailMid && high == smartFailHigh:
		return job.Health{State: job.HealthFailing, Text: "SMART: a value is beyond its threshold"}
	}
	return job.Health{Text: fmt.Sprintf("the drive answered %02x%02x", mid, high)}
}
