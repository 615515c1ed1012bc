package disk_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ingot/imaging"
	"ingot/imaging/disk"
)

// BenchmarkRestore puts 512 MiB of half-compressible data on a fresh file and reads it back. MB/s are of the
// image.
func BenchmarkRestore(b *testing.B) {
	const size = 512 * mib
	plain := make([]byte, size)
	for at := 0; at < size; at += 4096 {
		fill(plain[at:][:1600])
	}
	im := cut(b, plain, imaging.Header{DiskSize: size, SectorSize: 512, Table: "none"}, func(int) imaging.Kind { return imaging.Data })
	b.SetBytes(size)
	for b.Loop() {
		b.StopTimer()
		d := open(b, fileDrive(b, size, nil))
		b.StartTimer()
		if _, err := deploy(b.Context(), d, im, &source{im: im}, &disk.Progress{}); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		d.Close()
		b.StartTimer()
	}
}

// BenchmarkRestoreOverAGigabit sends at 117.7 MB/s of stored bytes and reports how much longer than the wire
// alone the whole takes, read-back included.
func BenchmarkRestoreOverAGigabit(b *testing.B) {
	const size, wire = 1024 * mib, 117.7e6
	plain := make([]byte, size)
	for at := 0; at < size; at += 4096 {
		fill(plain[at:][:1600])
	}
	im := cut(b, plain, imaging.Header{DiskSize: size, SectorSize: 512, Table: "none"}, func(int) imaging.Kind { return imaging.Data })
	for b.Loop() {
		b.StopTimer()
		d := open(b, fileDrive(b, size, nil))
		var sent atomic.Int64
		var start time.Time
		var once sync.Once
		src := &source{im: im, before: func(_ uint64, f []byte) ([]byte, error) {
			once.Do(func() { start = time.Now() })
			due := time.Duration(float64(sent.Add(int64(len(f)))) / wire * 1e9)
			time.Sleep(due - time.Since(start))
			return f, nil
		}}
		b.StartTimer()
		began := time.Now()
		if _, err := deploy(b.Context(), d, im, src, nil); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(began).Seconds()/(float64(sent.Load())/wire), "x_wire")
		b.StopTimer()
		d.Close()
		b.StartTimer()
	}
}
