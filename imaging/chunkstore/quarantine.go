package chunkstore

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"ingot/imaging"
	"ingot/imaging/job"
)

// quarantineFile lists the places that were found damaged, one a line: pack, offset, chunk, Unix time and why; behind
// them "end", their number and the CRC-32C of all lines before. What stands in it is not served and not counted as
// held, until a read of every byte finds it whole, its pack is written anew, or gc drops it for another copy.
const quarantineFile = "quarantine"

// maxQuarantine bounds the file in lines; what is beyond is found damaged again.
const maxQuarantine = 50_000

// flaw is what is known of a damaged place.
type flaw struct {
	chunk imaging.Digest // zero when its head cannot be read
	since time.Time
	why   string
}

// Event is something that the store found out by itself.
type Event struct {
	Kind   string // "quarantine" or "heal"
	Pack   imaging.Digest
	Chunks []imaging.Digest // at most 1000 of one pack; zero where a head cannot be read
	Why    string           // of the first
}

// Observe lets f hear of every quarantine and every healing; it is called by whoever found it, holding no lock. It
// must be set before the store is used.
func (s *Store) Observe(f func(Event)) { s.observe = f }

// markBad puts a damaged place into quarantine. A pack with too many of them is distrusted as a whole, and its further
// places are not kept: what a dying disk costs in memory is bounded. flushBad must follow.
func (s *Store) markBad(p place, chunk imaging.Digest, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.bad[p]; known || p.pack.gone || p.pack.distrusted {
		return
	}
	s.bad[p] = flaw{chunk, time.Now(), job.Reason(why)}
	s.badDirty = append(s.badDirty, p)
	s.changes++
	if p.pack.bad++; p.pack.bad > maxBad {
		p.pack.distrusted = true
	}
}

// lift takes a place out of the quarantine: every byte there was just read and proven.
func (s *Store) lift(p place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.bad[p]; known && !p.pack.distrusted {
		delete(s.bad, p)
		p.pack.bad--
		s.changes++
		s.badLifted = true
	}
}

// forget drops what is known of a pack's places. The caller holds mu.
func (s *Store) forget(p *packFile) {
	for k := range s.bad {
		if k.pack == p {
			delete(s.bad, k)
			s.badLifted = true
		}
	}
	p.bad, p.distrusted = 0, false
	s.changes++
}

// flushBad makes the quarantine durable and tells what is new in it. Without room on the disk it stays in memory, and
// the next flush tries again.
func (s *Store) flushBad() {
	s.badMu.Lock()
	defer s.badMu.Unlock()
	s.mu.Lock()
	fresh, lifted := s.badDirty, s.badLifted
	s.badDirty, s.badLifted = nil, false
	var lines []string
	if len(fresh) > 0 || lifted {
		for p, f := range s.bad {
			lines = append(lines, fmt.Sprintf("%s %d %s %d %q\n", p.pack.name, p.off, f.chunk, f.since.Unix(), f.why))
		}
	}
	events := s.events(fresh)
	s.mu.Unlock()
	if lines == nil && !lifted {
		return
	}
	if err := s.writeQuarantine(lines); err != nil {
		s.mu.Lock()
		s.badLifted = true
		s.mu.Unlock()
	}
	s.tell(events)
}

// events groups places by pack. The caller holds mu.
func (s *Store) events(fresh []place) (out []Event) {
	at := map[*packFile]int{}
	for _, p := range fresh {
		i, ok := at[p.pack]
		if !ok {
			i, at[p.pack] = len(out), len(out)
			out = append(out, Event{Kind: "quarantine", Pack: p.pack.name, Why: s.bad[p].why})
		}
		if len(out[i].Chunks) < maxBad {
			out[i].Chunks = append(out[i].Chunks, s.bad[p].chunk)
		}
	}
	return out
}

func (s *Store) tell(events []Event) {
	if s.observe == nil {
		return
	}
	for _, e := range events {
		s.observe(e)
	}
}

func (s *Store) writeQuarantine(lines []string) error {
	slices.Sort(lines)
	lines = lines[:min(len(lines), maxQuarantine)]
	b := []byte(strings.Join(lines, ""))
	b = fmt.Appendf(b, "end %d %d\n", len(lines), imaging.CRC(b))
	f, err := os.CreateTemp(filepath.Join(s.dir, "index"), tmpPrefix+"*") // where the next Open removes what a kill leaves
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = publish(f, filepath.Join(s.dir, quarantineFile))
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return errors.Join(err, f.Close())
}

// loadQuarantine reads the list. A damaged one is as good as none: whatever stood in it is found damaged again before
// it is served.
func (s *Store) loadQuarantine() error {
	b, err := os.ReadFile(filepath.Join(s.dir, quarantineFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	at := bytes.LastIndex(b, []byte("end "))
	var n int
	var crc uint32
	if at < 0 {
		return nil
	}
	if _, err := fmt.Sscanf(string(b[at:]), "end %d %d\n", &n, &crc); err != nil || imaging.CRC(b[:at]) != crc {
		return nil
	}
	for sc := bufio.NewScanner(bytes.NewReader(b[:at])); sc.Scan(); {
		s.quarantineLine(strings.SplitN(sc.Text(), " ", 5))
	}
	return nil
}

// quarantineLine takes one line in, when its pack is still there.
func (s *Store) quarantineLine(f []string) {
	if len(f) != 5 {
		return
	}
	name, err1 := imaging.ParseDigest(f[0])
	off, err2 := strconv.ParseUint(f[1], 10, 32)
	chunk, err3 := imaging.ParseDigest(f[2])
	since, err4 := strconv.ParseInt(f[3], 10, 64)
	why, err5 := strconv.Unquote(f[4])
	p := s.packs[name]
	if errors.Join(err1, err2, err3, err4, err5) != nil || p == nil {
		return
	}
	s.bad[place{p, uint32(off)}] = flaw{chunk, time.Unix(since, 0), why}
	if p.bad++; p.bad > maxBad {
		p.distrusted = true
	}
}

// locked is the fault of a chunk of which every copy is in quarantine; nil when it is not that.
func (s *Store) locked(d imaging.Digest) error {
	found := false
	if err := s.copies(d, func(l location, _ bool) bool {
		_, bad := s.bad[place{l.pack, l.off}]
		found = bad || l.pack.distrusted
		return found
	}); err != nil || !found {
		return nil
	}
	return job.Faultf(job.CodeLocked, "Chunk %s.", d.Short())
}

// Locked counts the places in quarantine.
func (s *Store) Locked() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.bad)
}

// lost are the chunks that are in quarantine somewhere.
func (s *Store) lost() map[imaging.Digest]bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	lost := make(map[imaging.Digest]bool, len(s.bad))
	for _, f := range s.bad {
		lost[f.chunk] = true
	}
	return lost
}

// healed tells which of the lost chunks a new pack has.
func (s *Store) healed(lost map[imaging.Digest]bool, pack imaging.Digest, entries []entry) {
	e := Event{Kind: "heal", Pack: pack}
	for _, n := range entries {
		if lost[n.digest] && len(e.Chunks) < maxBad {
			e.Chunks = append(e.Chunks, n.digest)
		}
	}
	if len(e.Chunks) > 0 {
		s.tell([]Event{e})
	}
}
