package imaging_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"ingot/imaging"
)

var update = flag.Bool("update", false, "write the golden files anew")

// goldenChunks are the plain bytes of the golden pack: text, bytes that do not shrink, one block.
func goldenChunks() [][]byte {
	noise := make([]byte, 2*imaging.BlockSize)
	for i, x := 0, uint32(1); i < len(noise); i++ {
		x = x*1664525 + 1013904223
		noise[i] = byte(x >> 24)
	}
	return [][]byte{bytes.Repeat([]byte("golden image "), 5000)[:15*imaging.BlockSize], noise, bytes.Repeat([]byte{7}, imaging.BlockSize)}
}

// goldenManifest is a disk of 1 MiB and 512 bytes that uses each kind of extent and header field, of version 2.
func goldenManifest() (imaging.Header, []imaging.Extent) {
	c := goldenChunks()
	h := imaging.Header{
		DiskSize: 1<<20 + 512, SectorSize: 512, Table: "gpt", Params: imaging.DefaultParams(),
		RootPartition: 2, GrowPartition: 2, SwapPartition: 3, Firmware: []string{"uefi", "bios"},
		OS: imaging.OSInfo{ID: "debian", Name: "Debian GNU/Linux 12 (bookworm)", Personalise: "linux"},
		Partitions: []imaging.Partition{
			{Number: 1, TypeGUID: "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", Name: "EFI", FirstLBA: 34, LastLBA: 99, FileSystem: "vfat", UUID: "1234-ABCD"},
			{Number: 2, TypeGUID: "0fc63daf-8483-4772-8e79-3d69d8477de4", FirstLBA: 100, LastLBA: 1999, FileSystem: "ext4", Label: "root", Grow: true},
			{Number: 3, TypeGUID: "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f", FirstLBA: 2000, LastLBA: 2010, FileSystem: "swap"},
		},
	}
	at := uint64(0)
	var out []imaging.Extent
	add := func(k imaging.Kind, n int, plain []byte) {
		e := imaging.Extent{Offset: at, Length: uint64(n), Kind: k}
		if k == imaging.Data {
			e.Digest = imaging.Sum(plain)
		}
		out, at = append(out, e), e.End()
	}
	add(imaging.Data, len(c[0]), c[0])
	add(imaging.Zero, 10*imaging.BlockSize, nil)
	add(imaging.Data, len(c[1]), c[1])
	add(imaging.Free, 1<<20-int(at)-len(c[2]), nil)
	add(imaging.Data, len(c[2]), c[2])
	add(imaging.Data, 512, bytes.Repeat([]byte{9}, 512))
	return h, out
}

func golden(t *testing.T, name string, made []byte) []byte {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, made, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGoldenManifestIsReadAndWrittenTheSame(t *testing.T) {
	for name, params := range map[string]imaging.Params{"v1.manifest": hashOnly(), "v2.manifest": imaging.DefaultParams()} {
		t.Run(name, func(t *testing.T) {
			h, extents := goldenManifest()
			h.Params = params
			goldenManifestIsReadAndWritten(t, name, h, extents)
		})
	}
}

func goldenManifestIsReadAndWritten(t *testing.T, name string, h imaging.Header, extents []imaging.Extent) {
	made, d := manifestOf(t, h, extents)
	b := golden(t, name, made)
	if !bytes.Equal(made, b) {
		t.Errorf("the writer makes other bytes than the golden file (%d, %d bytes)", len(made), len(b))
	}
	m := openBytes(t, b)
	if m.Digest() != d {
		t.Errorf("digest = %s; want %s", m.Digest(), d)
	}
	if err := m.Verify(); err != nil {
		t.Error(err)
	}
	for e, err := range m.All() {
		if err != nil {
			t.Fatal(err)
		}
		if e.Extent != extents[e.N] {
			t.Errorf("extent %d = %+v; want %+v", e.N, e.Extent, extents[e.N])
		}
	}
	if got := m.Header(); got.DataExtents != 4 || got.Params != h.Params || got.FreeBytes != extents[3].Length || got.Partitions[1] != h.Partitions[1] {
		t.Errorf("header = %+v", got)
	}
}

func TestGoldenPackIsReadAndScanned(t *testing.T) {
	var made bytes.Buffer
	w, err := imaging.NewPackWriter(&made)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range goldenChunks() {
		frame, err := imaging.EncodeChunk(nil, c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Append(imaging.Sum(c), len(c), frame); err != nil {
			t.Fatal(err)
		}
	}
	name, size, err := w.Finish()
	if err != nil || size != int64(made.Len()) || name != imaging.Sum(made.Bytes()) {
		t.Fatalf("Finish = %s, %d, %v; want the digest of %d bytes", name, size, err, made.Len())
	}
	// The frames may change with the encoder; that old packs are read may not.
	b := golden(t, "v1.pack", made.Bytes())
	want := goldenChunks()
	err = imaging.ScanPack(bytes.NewReader(b), int64(len(b)), func(at int64, h imaging.ChunkHead) error {
		frame := b[at+imaging.ChunkHeadSize:][:h.Stored]
		if err := h.CheckFrame(frame); err != nil {
			return err
		}
		plain, err := imaging.DecodeChunk(frame, nil, h.Digest, int(h.Plain))
		if err == nil && !bytes.Equal(plain, want[0]) {
			t.Errorf("the chunk at %d is another one", at)
		}
		want = want[1:]
		return err
	})
	if err != nil || len(want) != 0 {
		t.Errorf("ScanPack: %v, %d chunks not found", err, len(want))
	}
}
