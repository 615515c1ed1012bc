package chunkstore_test

import (
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ingot/imaging"
	"ingot/imaging/chunkstore"
)

// realBytes gives n bytes of real files, each padded to whole blocks: those of the Go toolchain.
func realBytes(b *testing.B, n int) []byte {
	b.Helper()
	out := make([]byte, 0, n+1<<20)
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		b.Skipf("SKIPPED: no go command: %v", err)
	}
	err = filepath.WalkDir(strings.TrimSpace(string(root)), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if len(out) >= n {
			return fs.SkipAll
		}
		c, err := os.ReadFile(path)
		out = append(out, c...)
		if r := len(out) % imaging.BlockSize; r > 0 {
			out = append(out, make([]byte, imaging.BlockSize-r)...)
		}
		return err
	})
	if err != nil || len(out) < n {
		b.Skipf("SKIPPED: only %d bytes of real files: %v", len(out), err)
	}
	return out[:n]
}

const benchBytes = 160 << 20

func BenchmarkImport(b *testing.B) {
	disk := realBytes(b, benchBytes)
	b.SetBytes(benchBytes)
	for b.Loop() {
		b.StopTimer()
		s, err := chunkstore.Open(b.TempDir())
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		_, st := importDisk(b, s, disk)
		b.ReportMetric(float64(st.PlainBytes)/float64(st.StoredBytes), "ratio")
		s.Close()
	}
}

func BenchmarkStream(b *testing.B) {
	s := openStore(b, b.TempDir())
	d, st := importDisk(b, s, realBytes(b, benchBytes))
	c := serve(b, s)
	m, err := c.OpenManifest(b.Context(), d)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(st.StoredBytes))
	for b.Loop() {
		if _, err := c.Fetch(b.Context(), d, all(m), func(uint64, []byte) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	plain := realBytes(b, 32<<20)
	type stored struct {
		frame  []byte
		digest imaging.Digest
		n      int
	}
	var chunks []stored
	split, err := imaging.NewSplitter(imaging.DefaultParams(), func(r imaging.Run) error {
		if r.Kind != imaging.Data {
			return nil
		}
		f, err := imaging.EncodeChunk(nil, r.Plain)
		chunks = append(chunks, stored{f, imaging.Sum(r.Plain), len(r.Plain)})
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := split.Write(plain); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(32 << 20)
	dst := make([]byte, imaging.MaxChunk)
	for b.Loop() {
		for _, c := range chunks {
			if _, err := imaging.DecodeChunk(c.frame, dst, c.digest, c.n); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	s := openStore(b, b.TempDir())
	_, st := importDisk(b, s, realBytes(b, benchBytes))
	b.SetBytes(int64(st.StoredBytes))
	for b.Loop() {
		if r, err := s.Check(b.Context(), chunkstore.CheckOptions{ReadData: true}); err != nil || !r.OK() {
			b.Fatal(err, r.Problems)
		}
	}
}

// BenchmarkManifest reads and proves windows, as an agent does.
func BenchmarkManifest(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "manifest"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	const n = 1 << 20
	syntheticManifest(b, f, n)
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(n * imaging.RecordSize)
	for b.Loop() {
		m, err := imaging.OpenManifest(f, size)
		if err == nil {
			err = m.Verify()
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
