package sqlite_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ingot/imaging/inspect/sqlite"
)

// database makes a file by the real library's own program.
func database(t testing.TB, pageSize, rows int) []byte {
	t.Helper()
	if _, err := exec.LookPath("sqlite3"); err != nil {
		t.Skip("sqlite3 is missing: install Debian's package sqlite3")
	}
	path := filepath.Join(t.TempDir(), "db")
	sql := fmt.Sprintf("PRAGMA page_size=%d; CREATE TABLE other(x); INSERT INTO other VALUES('no'); CREATE TABLE Packages(hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL, n, s, f);"+
		"WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM c WHERE i<%d) INSERT INTO Packages(blob,n,s,f) SELECT zeroblob(i*37), i*i*i-7, 'row '||i, 1.5 FROM c;", pageSize, rows-1)
	if out, err := exec.Command("sqlite3", path, sql).CombinedOutput(); err != nil {
		t.Fatalf("sqlite3: %v: %s", err, out)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRowsThatSQLiteWroteAreRead(t *testing.T) {
	for _, size := range []int{512, 1024, 4096, 65536} {
		b, i := database(t, size, 700), 0
		err := sqlite.Rows(bytes.NewReader(b), int64(len(b)), "packages", func(r sqlite.Row) bool {
			blob, _ := r[1].([]byte)
			if len(r) != 5 || r[0] != nil || !bytes.Equal(blob, make([]byte, i*37)) || r[2] != int64(i*i*i-7) || r[3] != fmt.Sprintf("row %d", i) || r[4] != nil {
				t.Fatalf("pages of %d, row %d: %d bytes, %v", size, i, len(blob), r[2:])
			}
			i++
			return true
		})
		if err != nil || i != 700 {
			t.Errorf("pages of %d: %d rows, %v; want 700", size, i, err)
		}
		i = 0
		if err := sqlite.Rows(bytes.NewReader(b), int64(len(b)), "Packages", func(sqlite.Row) bool { i++; return i < 3 }); err != nil || i != 3 {
			t.Errorf("%d rows, %v; want 3", i, err)
		}
	}
}

func TestAHostileFileCostsLittle(t *testing.T) {
	whole := database(t, 1024, 300)
	for name, edit := range map[string]func(b []byte) []byte{
		"nothing":              func(b []byte) []byte { return nil },
		"no magic":             func(b []byte) []byte { b[0] = 'x'; return b },
		"pages of 3 bytes":     func(b []byte) []byte { b[16], b[17] = 0, 3; return b },
		"pages without room":   func(b []byte) []byte { b[16], b[17], b[20] = 2, 0, 200; return b },
		"cut off":              func(b []byte) []byte { return b[:len(b)/2] },
		"a schema in a circle": func(b []byte) []byte { b[100] = 5; binary.BigEndian.PutUint32(b[108:], 1); return b },
		"no such table":        func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("Packages"), []byte("Packings")) },
	} {
		b := edit(bytes.Clone(whole))
		n := 0
		err := sqlite.Rows(bytes.NewReader(b), int64(len(b)), "Packages", func(sqlite.Row) bool { n++; return true })
		if !errors.Is(err, sqlite.ErrDamaged) || n > 300 {
			t.Errorf("%s: %d rows, %v; want ErrDamaged", name, n, err)
		}
	}
}

func FuzzSQLite(f *testing.F) {
	bases := [][]byte{[]byte("SQLite format 3\x00" + strings.Repeat("\x02", 1008))}
	if _, err := exec.LookPath("sqlite3"); err == nil {
		bases = append(bases, database(f, 512, 60))
	}
	f.Add(byte(1), []byte("\x64\x00\x00\x00\x05\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, which byte, edits []byte) {
		b := bytes.Clone(bases[int(which)%len(bases)])
		for ; len(edits) >= 8; edits = edits[8:] {
			binary.LittleEndian.PutUint32(b[int(binary.LittleEndian.Uint32(edits))%(len(b)-4):], binary.LittleEndian.Uint32(edits[4:]))
		}
		n := 0
		_ = sqlite.Rows(bytes.NewReader(b), int64(len(b)), "Packages", func(sqlite.Row) bool { n++; return true })
		if n > len(b) {
			t.Errorf("%d rows in %d bytes", n, len(b))
		}
	})
}
