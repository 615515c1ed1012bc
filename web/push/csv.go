package push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"ingot/imaging/job"
	"ingot/store"
	"ingot/store/sheet"
)

// csvHead are the columns of devices.csv. Others read them by name: they are added to, and never renamed.
var csvHead = []string{"id", "serial", "asset_tag", "name", "state", "owner", "manufacturer", "model", "uuid", "macs", "drives", "memory_gb", "role", "image",
	"imaged_at", "deployed_by", "deployment", "seen_at", "changed_at"}

// WriteCSV writes every device that somebody adopted, as store/sheet writes every table: texts in quotes, so that no reader
// takes a serial for a number by its form, and none of them a formula.
func (p *Pusher) WriteCSV(_ context.Context, w io.Writer) error {
	var rows [][]any
	err := p.DB.View(func(tx *store.Tx) error {
		all, err := tx.Devices()
		if err != nil {
			return err
		}
		for _, d := range all {
			if !d.Pushed() {
				continue
			}
			data, err := deviceData(tx, d)
			if err != nil {
				return err
			}
			memory, _, _ := strings.Cut(facts{device: d}.value(store.FieldMemory, ""), " ")
			rows = append(rows, []any{d.ID, d.Serial, d.Asset, d.Name, string(d.State), d.Owner, d.Manufacturer, d.Model, d.UUID, strings.Join(d.BuiltIn, " "),
				drives(d), memory, d.Role, data.Image, data.Imaged, data.By, d.Deployment, d.Seen, d.Changed})
		}
		return nil
	})
	if err != nil {
		return err
	}
	return sheet.Write(w, csvHead, rows)
}

// dropCSV starts to write devices.csv when something was recorded since. A worker of its own does it: a folder that hangs,
// as one on a network may, is in nobody's way.
func (p *Pusher) dropCSV(workers *sync.WaitGroup) {
	var head store.Event
	err := p.DB.View(func(tx *store.Tx) (err error) { head, _, err = tx.AuditHead(); return err })
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	switch {
	case p.csvBusy || now.Before(p.csvNext):
	case err != nil:
		p.csv.Fault = unwritten(err)
	case head.Number != p.csvFor || p.csv.Written.IsZero():
		p.csvBusy, p.csvNext = true, now.Add(p.Every)
		workers.Go(func() { p.keepCSV(head.Number) })
	}
}

// keepCSV writes devices.csv in its folder as the records are now, which is at least up to an event. A reader finds the
// old one or the new one, and never a half.
func (p *Pusher) keepCSV(event uint64) {
	err := p.write(filepath.Join(p.Folder, "devices.csv"))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.csvBusy = false
	if err != nil {
		p.csv.Fault = unwritten(err)
		return
	}
	p.csv.Written, p.csv.Fault, p.csvFor = p.DB.Now(), nil, event
}

func unwritten(err error) *job.Fault { return job.Faultf(job.CodeFile, "%s.", job.Reason(err)) }

func (p *Pusher) writeFile(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".devices-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(f.Name()) // gone already when all went well
	err = errors.Join(p.WriteCSV(context.Background(), f), f.Chmod(0o640), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
