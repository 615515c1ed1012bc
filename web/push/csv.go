package push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
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

// csvEvery is how often devices.csv is written at most.
const csvEvery = time.Minute

// dropCSV keeps devices.csv in the folder as the records are. A reader finds the old one or the new one, and never a half.
func (p *Pusher) dropCSV() {
	if p.Folder == "" {
		return
	}
	var head store.Event
	err := p.DB.View(func(tx *store.Tx) (err error) { head, _, err = tx.AuditHead(); return err })
	p.mu.Lock()
	now := time.Now()
	due := err == nil && (head.Number != p.csvFor || p.csv.Written.IsZero()) && !now.Before(p.csvNext)
	if due {
		p.csvNext = now.Add(csvEvery)
	}
	p.mu.Unlock()
	if !due {
		return
	}
	err = p.writeFile(filepath.Join(p.Folder, "devices.csv"))
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.csv.Fault = job.Faultf(job.CodeFile, "%s.", job.Reason(err))
		return
	}
	p.csv.Written, p.csv.Fault, p.csvFor = p.DB.Now(), nil, head.Number
}

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
