package disk

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"ingot/imaging/fs"
	"ingot/imaging/gpt"
	"ingot/imaging/job"
)

// Recognise proves, by reading alone, that a drive holds the system that Ingot put there: the partitions of the plan
// stand in its table, with their places and GUIDs; the root file system is the image's by its UUID; and the system on
// it is the one that called home, by its machine-id, or, when none ever did, the one whose letter names the deployment.
// What differs is CodeNotOurs with the first difference. A system that sleeps (its memory is in a swap partition) is
// CodeSuspended: what is written under it would be torn when it wakes.
func Recognise(d *Disk, p *Plan, root int, known job.Known) error {
	r := wholeBlocks{d}
	if err := sameTable(r, p); err != nil {
		return err
	}
	part := Part{Number: root, Size: d.Size()} // a disk without a table is one volume
	for _, q := range p.Parts {
		info, err := fs.Identify(io.NewSectionReader(r, int64(q.Offset), int64(q.Size)), int64(q.Size))
		if err != nil {
			return fmt.Errorf("look at partition %d: %w: %w", q.Number, err, job.Faultf(job.CodeDriveRead, "Partition %d.", q.Number))
		}
		if info.Type == fs.Suspended {
			return job.Faultf(job.CodeSuspended, "Partition %d holds its memory.", q.Number)
		}
		if q.Number == root {
			part = q
		}
	}
	if p.Table != "none" && part.Offset == 0 {
		return job.Faultf(job.CodeNotOurs, "It has no partition %d.", root)
	}
	return sameSystem(io.NewSectionReader(r, int64(part.Offset), int64(part.Size)), part, known)
}

// sameTable compares the drive's table with the planned one. Partitions that were added since are no difference.
func sameTable(r io.ReaderAt, p *Plan) error {
	have := map[int]Part{}
	sector := uint64(p.SectorSize)
	switch p.Table {
	case "none":
		return nil
	case "gpt":
		t, err := gpt.ReadTable(r, int64(p.DiskSize), p.SectorSize)
		if err != nil {
			return fmt.Errorf("read the table: %w: %w", err, job.Faultf(job.CodeNotOurs, "Its partition table cannot be read."))
		}
		for _, n := range t.Used() {
			e, _ := t.Partition(n)
			have[n] = Part{Number: n, Offset: e.First * sector, Size: e.Sectors() * sector, UniqueGUID: e.Unique.String()}
		}
	default:
		t, err := gpt.ReadMBR(r, int64(p.DiskSize), p.SectorSize)
		if err != nil {
			return fmt.Errorf("read the table: %w: %w", err, job.Faultf(job.CodeNotOurs, "Its partition table cannot be read."))
		}
		for _, e := range t.Partitions {
			have[e.Number] = Part{Number: e.Number, Offset: e.First * sector, Size: (e.Last - e.First + 1) * sector}
		}
	}
	for _, want := range p.Parts {
		got, ok := have[want.Number]
		if !ok || got.Offset != want.Offset || got.Size != want.Size || !strings.EqualFold(got.UniqueGUID, want.UniqueGUID) {
			return job.Faultf(job.CodeNotOurs, "Partition %d is not the one of the image.", want.Number)
		}
	}
	return nil
}

// Bounds of the two small files that tell a system apart.
const (
	maxMachineID = 4 << 10
	maxLetter    = 64 << 10
)

// letterPaths are where a first boot's letter may lie.
var letterPaths = []string{"/var/lib/ingot/callhome.json", "/etc/ingot/callhome.json"}

// sameSystem compares what lies on the root volume. The file system may not have been closed cleanly: what is read was
// written long ago.
func sameSystem(r io.ReaderAt, part Part, known job.Known) error {
	info, err := fs.Identify(r, int64(part.Size))
	if err != nil {
		return fmt.Errorf("look at the root: %w: %w", err, job.Faultf(job.CodeDriveRead, "Partition %d.", part.Number))
	}
	if part.UUID != "" && !strings.EqualFold(info.UUID, part.UUID) {
		return job.Faultf(job.CodeNotOurs, "The file system of partition %d is another one.", part.Number)
	}
	v, err := fs.Open(r, int64(part.Size))
	if err != nil {
		return fmt.Errorf("open the root: %w: %w", err, job.Faultf(job.CodeNotOurs, "The file system of partition %d cannot be read.", part.Number))
	}
	if known.MachineID != "" {
		id, err := v.ReadFile("/etc/machine-id", maxMachineID)
		sum := sha256.Sum256([]byte(strings.TrimSpace(string(id))))
		if err != nil || hex.EncodeToString(sum[:]) != known.MachineID {
			return errors.Join(job.Faultf(job.CodeNotOurs, "Its machine-id is not the one that called home."), err)
		}
		return nil
	}
	for _, path := range letterPaths {
		b, err := v.ReadFile(path, maxLetter)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var letter struct {
			Deployment string `json:"deployment"`
		}
		if err != nil || json.Unmarshal(b, &letter) != nil || letter.Deployment != known.Deployment {
			return errors.Join(job.Faultf(job.CodeNotOurs, "The letter of its first start is of another deploy."), err)
		}
		return nil
	}
	return job.Faultf(job.CodeNotOurs, "It has never called home, and holds no letter of its first start.")
}

// wholeBlocks reads any range of a disk by whole aligned blocks, which is all that the drive itself takes.
type wholeBlocks struct{ d *Disk }

const readPiece = 1 << 20

// ReadAt implements io.ReaderAt.
func (w wholeBlocks) ReadAt(b []byte, off int64) (done int, err error) {
	const block = 4096
	size := int64(w.d.Size())
	if off < 0 || off >= size {
		return 0, io.EOF
	}
	want := len(b)
	b = b[:min(int64(want), size-off)]
	for done < len(b) {
		at := (off + int64(done)) &^ (block - 1)
		end := min((off+int64(len(b))+block-1)&^(block-1), at+readPiece, size)
		buf := AlignedBuffer(int(end - at))
		if _, err := w.d.ReadAt(buf, at); err != nil {
			return done, err
		}
		done += copy(b[done:], buf[off+int64(done)-at:])
	}
	if done < want {
		return done, io.EOF
	}
	return done, nil
}
