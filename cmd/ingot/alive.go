package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

const (
	lifeName  = "ingot.alive"
	lifeSize  = 512 // bytes; written in place, so that a full disk takes it too
	lifeEvery = 30 * time.Second
)

// lifeSign is what a daemon leaves behind of itself: the next one says whether it ended as it should, and knows what
// the clocks showed.
type lifeSign struct {
	Boot  string        `json:"boot"` // the kernel's id of this start of the server
	Seen  time.Time     `json:"seen"` // steady time
	Up    time.Duration `json:"up"`   // of the server, at Seen
	Clean bool          `json:"clean"`
}

// bootID names this start of the server; empty when the kernel does not say.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// readLife gives the sign that the last daemon left; nil when there is none that can be read.
func readLife(data string) *lifeSign {
	b, err := os.ReadFile(filepath.Join(data, lifeName))
	if err != nil {
		return nil
	}
	var s lifeSign
	if json.Unmarshal(bytes.TrimSpace(b), &s) != nil || s.Seen.IsZero() {
		return nil
	}
	return &s
}

// endOf says how the last daemon ended; empty when it ended as it should, or when nobody knows.
func endOf(last *lifeSign, boot string) string {
	switch {
	case last == nil || last.Clean:
		return ""
	case last.Boot == boot:
		return fmt.Sprintf("The daemon was killed or failed; it was last alive at %s.", clockText(last.Seen))
	}
	return fmt.Sprintf("The server stopped without ending the daemon: a power cut, a reset or a crash; it was last alive at %s.", clockText(last.Seen))
}

// life writes the sign while the daemon runs.
type life struct {
	path string
	boot string
	clk  *steadyClock
	log  zerolog.Logger
	told bool
}

// write puts the sign down, durably.
func (l *life) write(clean bool) {
	r := l.clk.read()
	b, err := json.Marshal(lifeSign{Boot: l.boot, Seen: l.clk.Now(), Up: r.up, Clean: clean})
	if err == nil {
		err = overwrite(l.path, append(b, bytes.Repeat([]byte(" "), max(0, lifeSize-len(b)))...))
	}
	if err != nil && !l.told {
		l.log.Warn().Err(err).Msg("the daemon could not note that it is alive")
	}
	l.told = err != nil
}

// overwrite writes a file in place and waits until the disk has it.
func overwrite(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	return errors.Join(err, f.Sync(), f.Close())
}

// run notes from time to time that the daemon is alive, until ctx ends.
func (l *life) run(ctx context.Context) error {
	tick := time.NewTicker(lifeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			l.write(false)
		}
	}
}
