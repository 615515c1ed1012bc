package benchmark

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// sampleEvery is how often a process is looked at. A peak that is shorter can be missed; the kernel's own
// high-water mark, which counts file pages and the program's text too, cannot be and is printed beside it.
const sampleEvery = 10 * time.Millisecond

// usage is what one process took, in bytes and seconds.
type usage struct {
	anon uint64 // peak of RssAnon
	high uint64 // VmHWM
	cpu  float64
}

func (u *usage) merge(o usage) {
	u.anon, u.high, u.cpu = max(u.anon, o.anon), max(u.high, o.high), max(u.cpu, o.cpu)
}

// watch samples a process until the returned function is called or the process has ended.
func watch(pid int) (stop func() usage) {
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan usage, 1)
	go func() { // ends by stop, or with the process
		var peak usage
		tick := time.NewTicker(sampleEvery)
		defer tick.Stop()
		for {
			now, err := look(pid)
			if err == nil {
				peak.merge(now)
			}
			select {
			case <-ctx.Done():
				result <- peak
				return
			case <-tick.C:
				if err != nil {
					<-ctx.Done()
				}
			}
		}
	}()
	return func() usage { cancel(); return <-result }
}

// look reads what a process takes at this moment.
func look(pid int) (usage, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return usage{}, err
	}
	u := usage{anon: field(status, "RssAnon:"), high: field(status, "VmHWM:")}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return usage{}, err
	}
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])) // the name may hold spaces
	for _, i := range []int{11, 12} {                                    // utime and stime, proc(5)
		ticks, err := strconv.ParseFloat(f[i], 64)
		if err != nil {
			return usage{}, err
		}
		u.cpu += ticks / 100 // USER_HZ
	}
	return u, nil
}

// field reads a line of /proc/PID/status, in bytes; 0 when it is absent, as in a process that has just ended.
func field(status []byte, name string) uint64 {
	_, rest, ok := bytes.Cut(status, []byte(name))
	if !ok {
		return 0
	}
	words := strings.Fields(string(rest[:min(len(rest), 40)]))
	if len(words) == 0 {
		return 0
	}
	kib, err := strconv.ParseUint(words[0], 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}
