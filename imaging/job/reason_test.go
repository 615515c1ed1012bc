package job_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ingot/imaging/job"
)

// realErrors are errors as the system and the libraries really make them.
func realErrors(t *testing.T) map[string]error {
	dir := t.TempDir()
	_, absent := os.Open(filepath.Join(dir, "absent"))
	_, folder := os.ReadFile(dir)
	_, under := os.Open(filepath.Join(os.Args[0], "x"))
	twice := os.Mkdir(dir, 0o700)
	moved := os.Rename(filepath.Join(dir, "absent"), filepath.Join(dir, "there"))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_, taken := net.Listen("tcp", addr)
	l.Close()
	_, closed := l.Accept()
	_, nobody := net.DialTimeout("tcp", addr, time.Second)
	_, strange := net.Listen("tcp", "192.0.2.1:80")
	var n struct{ Seq int }
	_, number := strconv.Atoi("x")
	_, when := time.Parse(time.RFC3339, "soon")
	full := &fs.PathError{Op: "write", Path: "/var/lib/ingot/packs/x", Err: syscall.ENOSPC}
	return map[string]error{
		"absent": absent, "folder": folder, "under": under, "twice": twice, "moved": moved, "taken": taken, "closed": closed, "nobody": nobody, "strange": strange,
		"json": json.Unmarshal([]byte("{"), &n), "json type": json.Unmarshal([]byte(`{"Seq":"x"}`), &n), "number": number, "time": when, "full": full,
		"stopped": context.Canceled, "late": context.DeadlineExceeded, "end": io.ErrUnexpectedEOF, "errno": syscall.EIO, "odd errno": syscall.Errno(117),
	}
}

// TestRealErrorsArePutIntoWords: our own words stay, the system's become words, the code tells where the table has one.
func TestRealErrorsArePutIntoWords(t *testing.T) {
	raw := realErrors(t)
	for name, want := range map[string]struct {
		code  job.Code
		words string
	}{
		"absent": {job.CodeFile, "/absent: it is not there"}, "folder": {job.CodeFile, "it is a folder"}, "under": {job.CodeFile, "no folder"},
		"twice": {job.CodeFile, "there already"}, "moved": {job.CodeFile, "/there: it is not there"},
		"taken": {job.CodeNetwork, "another program has that port"}, "closed": {job.CodeNetwork, "closed already"}, "nobody": {job.CodeNetwork, "nobody answers there"},
		"strange": {job.CodeNetwork, "no interface has that address"}, "full": {job.CodeFull, "no room is left for /var/lib/ingot/packs/x"},
		"json": {job.CodeInternal, "JSON"}, "json type": {job.CodeInternal, `"Seq" holds a string`}, "number": {job.CodeInternal, `"x" is no number`}, "time": {job.CodeInternal, `"soon" is no time`},
		"stopped": {job.CodeStopped, "it was stopped"}, "late": {job.CodeNetwork, "no answer came in time"}, "end": {job.CodeInternal, "ends too early"},
		"errno": {job.CodeInternal, "the drive reports an error"}, "odd errno": {job.CodeInternal, "number 117"},
	} {
		err := raw[name]
		if err == nil {
			t.Fatalf("%s is no error here", name)
		}
		wrapped := errors.Join(fmt.Errorf("read the shelf: %w", err), nil)
		got, f := job.Reason(wrapped), job.FaultOf(wrapped)
		if !strings.HasPrefix(got, "read the shelf: ") || !strings.Contains(got, want.words) || strings.Contains(got, err.Error()) {
			t.Errorf("%s: Reason(%q) = %q; want our words and %q", name, wrapped, got, want.words)
		}
		if f.Code != want.code || strings.Contains(f.Error(), err.Error()) || want.code != job.CodeInternal && !strings.Contains(strings.ToLower(f.Fact), strings.ToLower(want.words)) {
			t.Errorf("%s: FaultOf = %q; want %s", name, f, want.code)
		}
	}
	if got := job.Reason(nil); got != "" {
		t.Errorf("Reason(nil) = %q", got)
	}
	if f := job.FaultOf(errors.Join(raw["absent"], job.Faultf(job.CodeNotFound, "No file."))); f.Code != job.CodeNotFound {
		t.Errorf("a Fault beside a raw error: %v", f)
	}
}
