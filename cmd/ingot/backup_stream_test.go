package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"ingot/imaging"
)

// taker counts what comes, and looks halfway at what the process holds.
type taker struct {
	bytes, at int64
	held      uint64
}

// Write implements io.Writer.
func (k *taker) Write(b []byte) (int, error) {
	before := k.bytes
	if k.bytes += int64(len(b)); before < k.at && k.bytes >= k.at {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		k.held = m.HeapAlloc
	}
	return len(b), nil
}

// TestABackupOfALargeStoreStreams: half a gigabyte of packs goes from the store through daemon, socket and command to
// where it is given, and halfway neither of them, both in this process, holds any of it.
func TestABackupOfALargeStoreStreams(t *testing.T) {
	const large = 512 << 20
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	startDaemon(t, "--data", data, "--agent-port", strconv.Itoa(port), "--pages-port", "-1")
	packs := filepath.Join(data, "packs")
	f, err := os.Create(filepath.Join(packs, imaging.Sum([]byte("large")).String()+".pack"))
	if err == nil {
		err = errors.Join(f.Truncate(large), f.Close()) // a hole: it takes no room
	}
	if err != nil {
		t.Fatal(err)
	}
	out, errs := &taker{at: large / 2}, &bytes.Buffer{}
	if code := run(t.Context(), []string{"--data", data, "backup", "-", "--packs", "--passphrase-file", secret(t, dir)}, strings.NewReader(""), out, errs); code != 0 {
		t.Fatalf("backup: %d %s", code, errs)
	}
	if out.bytes < large || out.held == 0 || out.held > 64<<20 {
		t.Errorf("%d bytes came; halfway %d MB were held", out.bytes, out.held>>20)
	}
	t.Logf("%d MB came; halfway %d MB were held", out.bytes>>20, out.held>>20)
}
