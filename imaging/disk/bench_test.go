package disk_test

import (
	"testing"

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
