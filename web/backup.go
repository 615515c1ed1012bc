package web

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// Backups makes copies of the whole server. begin is called once, when nothing can be refused any more, with about how
// many bytes will come; what it gives is written to from then on.
type Backups interface {
	Backup(ctx context.Context, operator string, o store.ServerBackup, begin func(size int64) io.Writer) (store.ServerBackedUp, error)
}

// BackupEnd is the trailer with which a backup's answer ends: a Line whose Done is a store.ServerBackedUp, or whose Fault
// says why it broke off. An answer without it is no backup. BackupSize is the header with about how many bytes come.
const (
	BackupEnd  = "Ingot-End"
	BackupSize = "Ingot-Size"
)

// backupStall is how long whoever receives a backup may take none of it: the image store cannot be cleared meanwhile.
const backupStall = 2 * time.Minute

func (a *API) backupRoutes(rs *routes) {
	rs.handle("POST /api/v1/backup", store.Administrator, func(w http.ResponseWriter, r *http.Request) {
		var in store.ServerBackup
		err := readBody(r, &in)
		if err == nil {
			err = in.Check()
		}
		if err == nil {
			err = mayBackup(ActorOf(r.Context()))
		}
		if err != nil {
			a.reply(w, nil, err)
			return
		}
		begun := false
		out, err := a.Backups.Backup(r.Context(), operatorOf(r), in, func(size int64) io.Writer {
			begun = true
			h := w.Header()
			h.Set("Content-Type", "application/octet-stream")
			h.Set("Trailer", BackupEnd)
			h.Set(BackupSize, strconv.FormatInt(size, 10))
			h.Set("Connection", "close") // its deadline is no other answer's
			return &patient{w: w, c: http.NewResponseController(w)}
		})
		if !begun {
			a.reply(w, out, err)
			return
		}
		line := Line[struct{}, store.ServerBackedUp]{Done: &out}
		if err != nil {
			line = Line[struct{}, store.ServerBackedUp]{Fault: a.fault(err)}
		}
		end, _ := json.Marshal(line) // plain data: it cannot fail
		w.Header().Set(BackupEnd, string(end))
	})
}

// mayBackup lets a program take a backup, which holds every key, only where its token was made for that.
func mayBackup(who Actor) error {
	if who.Token != "" && !slices.Contains(who.Only, "backup") {
		return job.Faultf(job.CodePolicy, "The token %s was not made for backups, which hold all keys: an administrator makes one that may do nothing else.", who.Token)
	}
	return nil
}

// patient writes as long as the other side takes something now and then.
type patient struct {
	w http.ResponseWriter
	c *http.ResponseController
}

// Write implements io.Writer.
func (p *patient) Write(b []byte) (int, error) {
	_ = p.c.SetWriteDeadline(time.Now().Add(backupStall)) // a test's recorder has none
	return p.w.Write(b)
}
