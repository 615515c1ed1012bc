package backup

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"

	"ingot/imaging/job"
	"ingot/store"
)

// mostWork bounds the memory that a file may ask for before it is known to be a backup: 256 MB, as age itself makes them.
const mostWork = 18

// Read opens a backup and calls take with each of its files in order. It returns nil only when every byte of the file
// was proven and nothing is missing; what take did before is for the caller to undo. A passphrase that does not open
// it is a Fault of job.CodePassphrase, anything else that is wrong with the file one of job.CodeBackupFile.
func Read(ctx context.Context, from io.Reader, passphrase string, take func(h Head, name string, size int64, r io.Reader) error) (Head, error) {
	src := &reader{ctx: ctx, r: from}
	w := walk{take: take}
	err := w.run(src, passphrase)
	var told *job.Fault
	switch {
	case err == nil, w.own, errors.As(err, &told):
		return w.head, err
	case src.err != nil: // the file could not be read, or it was stopped
		return w.head, fmt.Errorf("read backup: %w", src.err)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return w.head, errors.Join(err, job.Faultf(job.CodeBackupFile, "It ends too early."))
	}
	return w.head, errors.Join(err, job.Faultf(job.CodeBackupFile, "It is damaged, or no backup of Ingot."))
}

// Prove reads a whole backup and restores nothing.
func Prove(ctx context.Context, from io.Reader, passphrase string) (Head, error) {
	return Read(ctx, from, passphrase, func(_ Head, _ string, _ int64, r io.Reader) error {
		_, err := io.Copy(io.Discard, r)
		return err
	})
}

// walk goes through one archive.
type walk struct {
	take func(Head, string, int64, io.Reader) error
	head Head
	seen End
	own  bool // the error is take's
}

func (w *walk) run(src io.Reader, passphrase string) error {
	plain, err := unlock(src, passphrase)
	if err != nil {
		return err
	}
	archive := tar.NewReader(plain)
	if err := smallJSON(archive, headName, &w.head); err != nil {
		return err
	}
	if w.head.Format != Format || w.head.Schema > store.Schema {
		return job.Faultf(job.CodeBackupFile, "Ingot %.40s made it, which is newer than this one: install that one first.", w.head.Version)
	}
	for {
		h, err := archive.Next()
		if err != nil {
			return ended(err)
		}
		if h.Name == endName {
			return w.end(archive, h, plain)
		}
		if h.Typeflag != tar.TypeReg || !known(h.Name) {
			return fmt.Errorf("%.100q does not belong into a backup", h.Name)
		}
		if err := w.one(h, archive); err != nil {
			return err
		}
	}
}

// unlock opens the sealed file.
func unlock(src io.Reader, passphrase string) (io.Reader, error) {
	key, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, job.Faultf(job.CodePassphrase, "It is empty.")
	}
	key.SetMaxWorkFactor(mostWork)
	plain, err := age.Decrypt(src, key)
	var none *age.NoIdentityMatchError
	if errors.As(err, &none) {
		return nil, errors.Join(err, job.Faultf(job.CodePassphrase, ""))
	}
	return plain, err
}

// one hands a file over, whole.
func (w *walk) one(h *tar.Header, archive io.Reader) error {
	body := &watched{r: archive}
	if err := w.take(w.head, h.Name, h.Size, body); err != nil {
		w.own = body.err == nil
		return err
	}
	w.seen.Files, w.seen.Bytes = w.seen.Files+1, w.seen.Bytes+h.Size
	return nil
}

// watched remembers an error of the archive, which is none of whoever reads from it.
type watched struct {
	r   io.Reader
	err error
}

// Read implements io.Reader.
func (r *watched) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

// end holds what was seen against what was written, and looks for the sealed file's own end.
func (w *walk) end(archive *tar.Reader, h *tar.Header, plain io.Reader) error {
	var want End
	if err := readJSON(archive, h, &want); err != nil {
		return err
	}
	if w.seen != want {
		return fmt.Errorf("%d files of %d bytes, not the %d of %d that were written", w.seen.Files, w.seen.Bytes, want.Files, want.Bytes)
	}
	if _, err := archive.Next(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("something follows the end: %w", ended(err))
	}
	n, err := io.Copy(io.Discard, plain)
	if err == nil && n > 0 {
		err = errors.New("something follows the end")
	}
	return err
}

// ended is the error of an archive that goes on no further: its plain end comes too early.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func smallJSON(archive *tar.Reader, name string, into any) error {
	h, err := archive.Next()
	if err != nil {
		return ended(err)
	}
	if h.Name != name {
		return fmt.Errorf("%.100q stands where %s belongs", h.Name, name)
	}
	return readJSON(archive, h, into)
}

func readJSON(archive io.Reader, h *tar.Header, into any) error {
	if h.Size > maxSmall {
		return fmt.Errorf("%s has %d bytes", h.Name, h.Size)
	}
	b, err := io.ReadAll(archive)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}
