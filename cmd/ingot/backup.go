package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"ingot/cmd/ingot/internal/backup"
	"ingot/imaging/job"
	"ingot/imaging/library"
	"ingot/store"
	"ingot/web"
)

// backups makes backups of the house, one at a time: each asks for the memory of its passphrase's work.
type backups struct {
	house *house
	mu    sync.Mutex
}

// Backup implements web.Backups.
func (b *backups) Backup(ctx context.Context, operator string, o store.ServerBackup, begin func(int64) io.Writer) (store.ServerBackedUp, error) {
	if !b.mu.TryLock() {
		return store.ServerBackedUp{}, job.Faultf(job.CodeBusy, "Another backup is being made.")
	}
	defer b.mu.Unlock()
	h := b.house
	taken, err := backup.Take(ctx, backup.Source{Dir: h.cfg.Data, DB: h.db, Chunks: h.chunks, Config: h.cfg.file, Version: version}, o.Packs)
	if err != nil {
		return store.ServerBackedUp{}, err
	}
	out, err := taken.Write(ctx, begin(taken.Size()), o.Passphrase)
	if err := errors.Join(err, taken.Close()); err != nil {
		return out, err
	}
	return out, h.db.Update(func(tx *store.Tx) error {
		what := "records, keys and configuration"
		if o.Packs {
			what += ", and the images' data"
		}
		return errors.Join(tx.PutLastServerBackup(store.LastServerBackup{At: out.Made, By: operator, Packs: o.Packs}),
			tx.Audit(operator, "backup", "server", fmt.Sprintf("Sent: %s, up to event %d.", what, out.Events)))
	})
}

func (a *app) backupCommand() *cobra.Command {
	var in store.ServerBackup
	var from string
	c := &cobra.Command{Use: "backup FILE", Short: "Write records, keys and configuration into one file, under a passphrase",
		Long: `Writes one file that holds the whole server: records, the list of what each version consists of, the keys, the
configuration, and with --packs the images' data. It is consistent, also while laptops are at work. The file is read
back before it gets its name; with - for FILE it goes to stdout and is not.

The passphrase (at least 12 characters) is asked for at the terminal, or comes from --passphrase-file or from
INGOT_PASSPHRASE. Whoever has the file and the passphrase has the server's keys; without it nobody can open the file,
you neither. Without Ingot, the program age opens it: age -d FILE | tar x
Exit codes: 0 done, 1 no backup was made, 3 made, but records were damaged before.`,
		Example: "sudo ingot backup /mnt/backup/ingot.age --packs\ningot backup - --passphrase-file /root/passphrase | ssh vault \"cat > ingot.age\"",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, given []string) (err error) {
			path := given[0]
			if path != "-" {
				if path, err = filepath.Abs(path); err != nil {
					return usage{err}
				}
				if _, err := os.Lstat(path); err == nil {
					return job.Faultf(job.CodeFile, "%s exists already: name a file that is not there yet.", path)
				}
			}
			return a.with(false, func(cl *client) (err error) {
				if in.Passphrase, err = a.passphrase(from, true); err != nil {
					return err
				}
				if err := in.Check(); err != nil {
					return err
				}
				got, err := a.backUp(c.Context(), cl, in, path)
				if err != nil {
					return err
				}
				return a.tellBackup(got, path)
			})
		}}
	c.Flags().BoolVar(&in.Packs, "packs", false, "with the images' data")
	c.Flags().StringVar(&from, "passphrase-file", "", "file whose first line is the passphrase")
	return a.outputFlag(c)
}

// backUp takes a backup into a file that gets its name when it is proven, or to stdout.
func (a *app) backUp(ctx context.Context, cl *client, in store.ServerBackup, path string) (store.ServerBackedUp, error) {
	if path == "-" {
		return a.receive(ctx, cl, in, a.out)
	}
	f, err := library.NewFile(path)
	if err != nil {
		return store.ServerBackedUp{}, err
	}
	defer os.Remove(f.Name()) // after it was named there is nothing left to remove
	defer f.Close()
	got, err := a.receive(ctx, cl, in, f)
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return got, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return got, err
	}
	if _, err := backup.Prove(ctx, f, in.Passphrase); err != nil {
		return got, errors.Join(err, job.Faultf(job.CodeFile, "What was written to %s does not read back as it was sent.", filepath.Dir(path)))
	}
	return got, library.NameNew(f.Name(), path)
}

// receive copies a backup and reads how it ended.
func (a *app) receive(ctx context.Context, cl *client, in store.ServerBackup, to io.Writer) (store.ServerBackedUp, error) {
	res, err := cl.open(ctx, http.MethodPost, "backup", in)
	if err != nil {
		return store.ServerBackedUp{}, err
	}
	defer res.Body.Close()
	total, _ := strconv.ParseUint(res.Header.Get(web.BackupSize), 10, 64) // only told
	_, err = io.Copy(&counter{w: to, total: total, began: time.Now(), tell: a.teller()}, res.Body)
	var line web.Line[struct{}, store.ServerBackedUp]
	if err == nil {
		err = json.Unmarshal([]byte(res.Trailer.Get(web.BackupEnd)), &line)
	}
	switch {
	case line.Fault != nil:
		return store.ServerBackedUp{}, line.Fault
	case job.FaultOf(err).Code == job.CodeFull, job.FaultOf(err).Code == job.CodeFile: // where it was to go
		return store.ServerBackedUp{}, err
	case err != nil, line.Done == nil:
		return store.ServerBackedUp{}, errors.Join(err, job.Faultf(job.CodeDaemon, "The daemon stopped before the backup was whole."))
	}
	return *line.Done, nil
}

// counter tells how far a copy is.
type counter struct {
	w           io.Writer
	done, total uint64
	began       time.Time
	tell        func(store.Work)
}

// Write implements io.Writer.
func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.done += uint64(n)
	w := store.Work{Phase: "backing up", DoneBytes: c.done, TotalBytes: max(c.total, c.done), SecondsLeft: -1}
	if s := time.Since(c.began).Seconds(); s > 0 {
		w.BytesPerSec = uint64(float64(c.done) / s)
		w.SecondsLeft = int(float64(w.TotalBytes-c.done) * s / float64(max(c.done, 1)))
	}
	c.tell(w)
	return n, err
}

func (a *app) tellBackup(got store.ServerBackedUp, path string) error {
	if path == "-" { // stdout is the file
		a.step("%s", backedUpWords(got))
	} else if err := a.tell(got, path, a.sayf("%s: %s", path, backedUpWords(got))); err != nil {
		return err
	}
	if got.Damaged > 0 {
		return partly{fmt.Errorf("%d damaged things of the records are in the backup as they are: see \"ingot check\"", got.Damaged)}
	}
	return nil
}

func backedUpWords(got store.ServerBackedUp) string {
	what := "without the images' data"
	if got.Packs {
		what = "with the images' data"
	}
	return fmt.Sprintf("%s, %s, %s; the audit trail up to event %d, head %s", counted(got.Files, "file", "files"), size(uint64(got.Bytes)), what, got.Events, got.Head)
}
