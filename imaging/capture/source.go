package capture

import (
	"errors"
	"fmt"
	"io"

	"ingot/imaging/fs"
	"ingot/imaging/gpt"
	"ingot/imaging/job"
)

// Source is the disk to capture. diskfile.File is one.
type Source interface {
	io.ReaderAt
	Size() int64     // bytes, the same all the time
	SectorSize() int // logical, 512 or 4096
	// NextData finds the first stored run at or behind off; what lies before it reads as zeros. start == end ==
	// Size means that nothing more is stored. A disk without such knowledge answers off, Size.
	NextData(off int64) (start, end int64, err error)
	// Unchanged reports an error when somebody wrote to the disk since it was opened.
	Unchanged() error
}

// refusal is an error for a person, with its cause for the log.
type refusal struct {
	*job.Fault
	cause error
}

func (r *refusal) Unwrap() []error { return []error{r.Fault, r.cause} }

// refuse makes the Fault of a disk that cannot become an image.
func refuse(cause error, format string, args ...any) error {
	return refuseAs(job.CodeImageInvalid, cause, format, args...)
}

// refuseAs is refuse with a code of its own, which tells what to do on the reference machine.
func refuseAs(code job.Code, cause error, format string, args ...any) error {
	f := job.Faultf(code, format, args...)
	if cause == nil {
		return f
	}
	return &refusal{f, cause}
}

// worded turns the typed errors of the packages below into Faults. An error without words of its own is a disk
// that cannot be read at what it was wanted for.
func worded(err error, doing string) error {
	var r interface{ Refused() string } // diskfile's; named so that the agent links no reader of disk files
	var u *fs.Unmapped
	var f *job.Fault
	switch {
	case err == nil:
		return nil
	case errors.As(err, &f):
		return err
	case errors.As(err, &r):
		return refuse(err, "%s.", upper(r.Refused()))
	case errors.As(err, &u):
		return refuse(err, "%s.", upper(u.Why))
	case errors.Is(err, gpt.ErrTruncated):
		return refuse(err, "The file was cut off: %v.", err)
	}
	return refuse(err, "%s failed: %v.", upper(doing), err)
}

func upper(s string) string {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return s
	}
	return string(s[0]-'a'+'A') + s[1:]
}

// section is a part of the disk as its own reader, from byte 0.
type section struct {
	r          io.ReaderAt
	start, end int64
}

func (s section) size() int64 { return s.end - s.start }

// ReadAt implements io.ReaderAt.
func (s section) ReadAt(b []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read at %d: negative offset", off)
	}
	if off >= s.size() {
		return 0, io.EOF
	}
	if int64(len(b)) > s.size()-off {
		n, err := s.r.ReadAt(b[:s.size()-off], s.start+off)
		if err == nil {
			err = io.EOF
		}
		return n, err
	}
	return s.r.ReadAt(b, s.start+off)
}
