package wipe

import (
	"bytes"
	"errors"
	"os"
	"syscall"
	"time"

	"ingot/imaging/passthru"
)

const (
	discardPiece = 1 << 30 // so that progress is seen
	sanitizeEMMC = 4 * time.Hour
)

// emmcErase erases every sector, so that all copies of them count as unmapped, then has them sanitized. The trim alone
// proves nothing, whatever it reads as afterwards.
func (r *run) emmcErase(ev Evidence) *end {
	areas, e := r.openBoot()
	if e != nil {
		return e
	}
	if e := r.journal(Started{Evidence: ev}); e != nil {
		return e
	}
	secure := r.step.Technique == EMMCSecure
	if e := r.discardAll(ev.Size, secure); e != nil {
		return e
	}
	if e := r.bootAreas(areas); e != nil {
		return e
	}
	if secure {
		r.rep.Completion = Completion{Accepted: true, Finished: true, Fresh: true, How: "secure erase of every sector (BLKSECDISCARD) answered, which it does only at its end"}
		return nil
	}
	r.show(Wiping, 0, 0, -1)
	reply, err := r.Port.MMC(passthru.MMC{Opcode: mmcSwitchCommand, Arg: mmcWriteByte | extSanitizeStart<<16 | 1<<8 | 1, Flags: passthru.MMCSwitch, Write: true, Timeout: sanitizeEMMC})
	if err != nil {
		return ended(Indeterminate, CauseNoAnswer, "%v", err)
	}
	r.at.raw("sanitize", "R1 %#08x", reply.Response)
	if !reply.OK() {
		return ended(Failed, CauseDriveFailed, "the drive was trimmed, and refused to sanitize: R1 %#08x", reply.Response)
	}
	r.rep.Completion = Completion{Accepted: true, Finished: true, Fresh: true, How: "SANITIZE_START after a trim of every sector: the drive was busy until it had ended"}
	return nil
}

// openBoot opens the boot areas of an eMMC that has any. Those that are protected for good hold what the maker put there.
func (r *run) openBoot() ([]Area, *end) {
	switch a := r.ability.EMMC; {
	case a == nil:
		return nil, nil
	case a.BootLocked:
		r.warn(WarnBootAreas)
		return nil, nil
	}
	areas, err := r.Port.Boot()
	if err != nil {
		return nil, ended(Refused, CauseAborted, "its boot areas cannot be opened: %v", err)
	}
	if r.ability.EMMC.BootBytes > 0 && len(areas) != 2 {
		return nil, ended(Refused, CauseAborted, "it has two boot areas, %d were found", len(areas))
	}
	return areas, nil
}

func (r *run) discardAll(size uint64, secure bool) *end {
	for off := uint64(0); off < size; off += discardPiece {
		n := min(discardPiece, size-off)
		if err := r.Port.Discard(off, n, secure); err != nil {
			r.at.raw("discard", "%v", err)
			if off == 0 && notBegun(err) {
				return ended(Refused, CauseAborted, "the drive refused to erase: %v", err)
			}
			r.rep.Touched = true
			return ended(Failed, CauseDriveFailed, "it stopped in the middle: %v", err)
		}
		r.rep.Touched = true
		r.show(Wiping, off+n, size, left(r.Clock.Now().Sub(r.began), off+n, size))
	}
	return nil
}

// notBegun reports whether the kernel sent a discard back before any of it reached the drive. After any other error a
// part of it may be erased.
func notBegun(err error) bool {
	return errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) || errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.EROFS)
}

// bootAreas overwrites both boot areas, reads them back, and erases them. They are small.
func (r *run) bootAreas(areas []Area) *end {
	for _, a := range areas {
		if e := r.bootArea(a); e != nil {
			return e
		}
		r.at.raw(a.Name(), "%d bytes overwritten, read back and erased", a.Size())
	}
	return nil
}

func (r *run) bootArea(a Area) *end {
	const piece = 128 << 10
	buf, got := passthru.Aligned(piece), passthru.Aligned(piece)
	for _, back := range []bool{false, true} {
		for off := uint64(0); off < a.Size(); off += piece {
			n := min(piece, a.Size()-off)
			stream(buf[:n], off, r.seed)
			if !back {
				r.rep.Touched = true
				if _, err := a.WriteAt(buf[:n], int64(off)); err != nil {
					return ended(Failed, CauseUnwritable, "%s at %d: %v", a.Name(), off, err)
				}
				continue
			}
			if _, err := a.ReadAt(got[:n], int64(off)); err != nil || !bytes.Equal(got[:n], buf[:n]) {
				return ended(Failed, CauseReadBack, "%s at %d does not read back: %v", a.Name(), off, err)
			}
		}
		if err := a.Flush(); err != nil {
			return ended(Failed, CauseUnwritable, "%s: %v", a.Name(), err)
		}
	}
	if err := a.Discard(0, a.Size(), r.step.Technique == EMMCSecure); err != nil {
		r.at.raw(a.Name(), "not erased after its overwrite: %v", err)
	}
	return nil
}
