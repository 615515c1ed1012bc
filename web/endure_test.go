package web_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/store"
	"ingot/web"
)

// TestASilentStreamGoesOn: a job waits for hours, and whoever watches it, over HTTP/2 as over HTTP/1.1, hears what
// happens then. Only who takes nothing is let go.
func TestASilentStreamGoesOn(t *testing.T) {
	quick := 200 * time.Millisecond
	p := newPages(t, func(s *web.Site) { s.WriteTime = quick })
	b := p.operator("anna", store.Technician)
	j := store.Job{ID: "b05b05b05b05b05b", Device: "d", State: job.Approved}
	must(t, p.db.Update(func(tx *store.Tx) error {
		return firstErr(tx.PutDevice(store.Device{ID: "d", Serial: "SN1", State: store.Ready}), tx.PutJob(j))
	}))
	for _, http2 := range []bool{true, false} {
		b.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: p.roots}, ForceAttemptHTTP2: http2}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		r, err := http.NewRequestWithContext(ctx, "GET", p.url+"/api/v1/jobs/"+string(j.ID)+"/watch", nil)
		must(t, err)
		res, err := b.client.Do(r)
		must(t, err)
		lines := bufio.NewScanner(res.Body)
		if !lines.Scan() || (res.ProtoMajor == 2) != http2 {
			t.Fatalf("%s: the stream begins with %q, %v", res.Proto, lines.Text(), lines.Err())
		}
		time.Sleep(5 * quick)
		p.clk.pass(time.Minute)
		_, err = p.api.Bench.OpenBench(t.Context(), "anna", store.Bench{OpenUntil: p.clk.now().Add(time.Hour)})
		must(t, err)
		if !lines.Scan() {
			t.Errorf("%s: after a silence nothing more comes: %v", res.Proto, lines.Err())
		}
		cancel()
		res.Body.Close()
		b.client.CloseIdleConnections()
	}
}

// TestABackupWaitsForItsReceiver: a disk that is busy for a while breaks no backup, although the listener's patience
// with answers is shorter.
func TestABackupWaitsForItsReceiver(t *testing.T) {
	const size = 24 << 20
	p := newPages(t, func(s *web.Site) {
		s.WriteTime = 200 * time.Millisecond
		s.API.Backups = copies{write: func(w io.Writer) error {
			_, err := io.Copy(w, io.LimitReader(zeros{}, size))
			return err
		}}
	})
	b := p.operator("anna", store.Administrator)
	r, err := http.NewRequest("POST", p.url+"/api/v1/backup", bytes.NewReader([]byte(`{"passphrase":"four words and more"}`)))
	must(t, err)
	r.Header.Set("Origin", p.url)
	res, err := b.client.Do(r)
	must(t, err)
	defer res.Body.Close()
	time.Sleep(time.Second)
	n, err := io.Copy(io.Discard, res.Body)
	if err != nil || n != size || res.Trailer.Get(web.BackupEnd) == "" {
		t.Errorf("%s: %d bytes of %d, %v, end %q", res.Status, n, size, err, res.Trailer.Get(web.BackupEnd))
	}
}

type zeros struct{}

// Read implements io.Reader.
func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }
