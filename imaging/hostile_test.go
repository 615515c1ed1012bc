package imaging_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"ingot/imaging"
)

// forge rewrites the JSON header of a manifest and everything that depends on its length, so that only the
// header is wrong.
func forge(t *testing.T, good []byte, change func(h map[string]any)) []byte {
	t.Helper()
	n := binary.LittleEndian.Uint32(good[12:])
	var h map[string]any
	if err := json.Unmarshal(good[32:32+n], &h); err != nil {
		t.Fatal(err)
	}
	change(h)
	js, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	b := bytes.Clone(good[:32])
	binary.LittleEndian.PutUint32(b[12:], uint32(len(js)))
	return append(append(b, js...), good[32+n:]...)
}

func TestHostileManifestsAreRefused(t *testing.T) {
	h, extents := goldenManifest()
	good, _ := manifestOf(t, h, extents)
	set := func(path string, v any) func(map[string]any) { return func(h map[string]any) { h[path] = v } }
	put32 := func(at int, v uint32) func([]byte) []byte {
		return func(b []byte) []byte { binary.LittleEndian.PutUint32(b[at:], v); return b }
	}
	raw := map[string]func([]byte) []byte{
		"nothing at all":                        func([]byte) []byte { return nil },
		"a pack instead of a manifest":          func(b []byte) []byte { copy(b, "INGOTPAK"); return b },
		"a newer version":                       put32(8, 3),
		"an older version than its header's":    put32(8, 1),
		"version 0":                             put32(8, 0),
		"a header of no bytes":                  put32(12, 0),
		"a header of 4 GiB":                     put32(12, 1<<32-1),
		"windows of another size":               put32(16, 1<<20),
		"something in the reserved field":       put32(20, 1),
		"no extents":                            put32(24, 0),
		"more extents than a manifest may have": func(b []byte) []byte { binary.LittleEndian.PutUint64(b[24:], 1<<60); return b },
		"one byte less":                         func(b []byte) []byte { return b[:len(b)-1] },
		"one byte more":                         func(b []byte) []byte { return append(b, 0) },
		"only its first 31 bytes":               func(b []byte) []byte { return b[:31] },
	}
	for name, change := range map[string]func(map[string]any){
		"a field that this program does not know": set("overlay", true),
		"another format version":                  set("format_version", 9),
		"a disk of no bytes":                      set("disk_size", 0),
		"a disk of half a sector":                 set("disk_size", 1<<20+511),
		"a disk of 2^63 bytes":                    set("disk_size", uint64(1)<<63),
		"a negative disk":                         set("disk_size", -4096),
		"sectors of 520 bytes":                    set("sector_size", 520),
		"an unknown partition table":              set("table", strings.Repeat("x", 1000)),
		"chunks of up to 4 GiB":                   set("params", map[string]any{"min": 8192, "avg": 32768, "max": 1<<32 - 4096}),
		"another version than its parameters":     set("format_version", 1),
		"parameters of another version":           set("params", map[string]any{"min": 8192, "avg": 32768, "max": 131072}),
		"a file's end behind the maximum":         set("params", map[string]any{"min": 8192, "avg": 32768, "max": 131072, "end": 135168}),
		"a file's end within a block":             set("params", map[string]any{"min": 8192, "avg": 32768, "max": 131072, "end": 100}),
		"an average that is no power of two":      set("params", map[string]any{"min": 8192, "avg": 24576, "max": 131072}),
		"a root partition that is not there":      set("root_partition", 7),
		"sums that overflow":                      set("data_bytes", ^uint64(0)),
		"sums that are not the disk":              set("free_bytes", 1),
		"another count of extents":                set("extents", 5),
		"a system of a megabyte":                  set("os", map[string]any{"name": strings.Repeat("x", 1<<17)}),
		"a partition twice": func(h map[string]any) {
			p := h["partitions"].([]any)
			h["partitions"] = append(p, p[0])
		},
		"a partition behind the disk": func(h map[string]any) { h["partitions"].([]any)[0].(map[string]any)["last_lba"] = 1 << 40 },
	} {
		raw[name] = func(b []byte) []byte { return forge(t, b, change) }
	}
	for name, change := range raw {
		t.Run(name, func(t *testing.T) {
			b := change(bytes.Clone(good))
			if _, err := imaging.OpenManifest(bytes.NewReader(b), int64(len(b))); !errors.Is(err, imaging.ErrManifest) {
				t.Errorf("OpenManifest = %v; want ErrManifest", err)
			}
		})
	}
	same := forge(t, good, func(map[string]any) {}) // the forger itself is not what is refused
	if _, err := imaging.OpenManifest(bytes.NewReader(same), int64(len(same))); err != nil {
		t.Error(err)
	}
}

// TestForgedRecordsAreRefused gives records their right digests, as somebody would who makes a whole manifest.
func TestForgedRecordsAreRefused(t *testing.T) {
	extents, size := someExtents(imaging.WindowSize + 3)
	good, _ := manifestOf(t, plainDisk(size), extents)
	head := len(good) - len(extents)*imaging.RecordSize
	list := head - 2*40
	record := func(b []byte, n int) []byte { return b[head+n*imaging.RecordSize:][:imaging.RecordSize] }
	cases := map[string]func(b []byte){
		"a gap":                       func(b []byte) { binary.LittleEndian.PutUint64(record(b, 5), extents[5].Offset+4096) },
		"an overlap":                  func(b []byte) { binary.LittleEndian.PutUint64(record(b, 5), extents[5].Offset-4096) },
		"a kind that is unknown":      func(b []byte) { record(b, 5)[15] = 9 },
		"an extent of no bytes":       func(b []byte) { binary.LittleEndian.PutUint64(record(b, 5)[8:], uint64(extents[5].Kind)<<56) },
		"an extent longer than disks": func(b []byte) { copy(record(b, 4)[8:15], "\xff\xff\xff\xff\xff\xff\xff") },
		"a chunk longer than the maximum": func(b []byte) {
			binary.LittleEndian.PutUint64(record(b, 3)[8:], 1<<56|1<<20)
		},
		"half a block in the middle":     func(b []byte) { binary.LittleEndian.PutUint64(record(b, 5)[8:], uint64(extents[5].Kind)<<56|512) },
		"a digest on a zero extent":      func(b []byte) { record(b, 4)[20] = 1 },
		"a window that starts elsewhere": func(b []byte) { binary.LittleEndian.PutUint64(b[list+40:], extents[4096].Offset+4096) },
		"an end before the disk's end": func(b []byte) {
			e := extents[len(extents)-1]
			binary.LittleEndian.PutUint64(record(b, len(extents)-1)[8:], uint64(e.Kind)<<56|(e.Length+4096))
		},
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			b := bytes.Clone(good)
			change(b)
			for w := range 2 {
				end := min(head+(w+1)*imaging.WindowSize*imaging.RecordSize, len(b))
				sum := imaging.Sum(b[head+w*imaging.WindowSize*imaging.RecordSize : end])
				copy(b[list+w*40+8:], sum[:])
			}
			m, err := imaging.OpenManifest(bytes.NewReader(b), int64(len(b)))
			if err == nil {
				err = m.Verify()
			}
			if !errors.Is(err, imaging.ErrManifest) {
				t.Errorf("Verify = %v; want ErrManifest", err)
			}
		})
	}
}

func TestManifestWriterRefusesWhatReadersWouldRefuse(t *testing.T) {
	for name, extents := range map[string][]imaging.Extent{
		"an end before the disk's": {{Length: 4096, Kind: imaging.Zero}},
		"a gap":                    {{Offset: 4096, Length: 4096, Kind: imaging.Zero}},
		"more than the disk":       {{Length: 1 << 20, Kind: imaging.Free}},
		"a chunk over the maximum": {{Length: 65536, Kind: imaging.Data}},
	} {
		t.Run(name, func(t *testing.T) {
			f := tempFile(t)
			w, err := imaging.NewManifestWriter(f, imaging.Header{DiskSize: 65536, SectorSize: 512, Table: "none", Params: imaging.Params{Min: 4096, Avg: 8192, Max: 16384}})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range extents {
				err = errors.Join(err, w.Append(e))
			}
			if _, ferr := w.Finish(); ferr == nil {
				t.Errorf("Finish = nil after %v; want an error", err)
			}
		})
	}
}

func TestHostileFramesAreRefused(t *testing.T) {
	plain := bytes.Repeat([]byte("eight by"), 1024)
	want := imaging.Sum(plain)
	frame, err := imaging.EncodeChunk(nil, plain)
	if err != nil {
		t.Fatal(err)
	}
	bomb, err := imaging.EncodeChunk(nil, make([]byte, imaging.MaxChunk))
	if err != nil {
		t.Fatal(err)
	}
	enc, err := zstd.NewWriter(nil, zstd.WithWindowSize(64<<20))
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	cases := map[string][]byte{
		"nothing":                            {},
		"noise":                              []byte("this is not a zstd frame at all"),
		"half a frame":                       frame[:len(frame)/2],
		"a frame of other bytes":             mustEncode(t, bytes.Repeat([]byte("EIGHT BY"), 1024)),
		"a longer chunk":                     mustEncode(t, append(bytes.Clone(plain), 1)),
		"a shorter chunk":                    mustEncode(t, plain[1:]),
		"a frame that grows a hundred times": bomb,
		"two frames":                         append(bytes.Clone(frame), frame...),
		"a frame of 64 MiB of zeros":         enc.EncodeAll(make([]byte, 64<<20), nil),
		"a stored frame over the bound":      make([]byte, imaging.MaxFrame+1),
	}
	for name, f := range cases {
		t.Run(name, func(t *testing.T) {
			dst := make([]byte, len(plain))
			if _, err := imaging.DecodeChunk(f, dst, want, len(plain)); !errors.Is(err, imaging.ErrChunk) {
				t.Errorf("DecodeChunk = %v; want ErrChunk", err)
			}
		})
	}
	for _, n := range []int{-1, 0, imaging.MaxChunk + 1} {
		if _, err := imaging.DecodeChunk(frame, nil, want, n); !errors.Is(err, imaging.ErrChunk) {
			t.Errorf("DecodeChunk to %d bytes = %v; want ErrChunk", n, err)
		}
	}
	if got, err := imaging.DecodeChunk(frame, nil, want, len(plain)); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("DecodeChunk of the good frame = %v", err)
	}
}

func mustEncode(t *testing.T, plain []byte) []byte {
	t.Helper()
	f, err := imaging.EncodeChunk(nil, plain)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestHostilePacksAreRefused(t *testing.T) {
	good, err := os.ReadFile(filepath.Join("testdata", "v1.pack"))
	if err != nil {
		t.Fatal(err)
	}
	end := len(good) - imaging.PackEndSize
	for name, b := range map[string][]byte{
		"nothing":             {},
		"its head only":       good[:imaging.PackHeadSize],
		"its end cut off":     good[:end],
		"one byte cut off":    good[:len(good)-1],
		"one byte more":       append(bytes.Clone(good), 0),
		"a chunk left out":    append(bytes.Clone(good[:imaging.PackHeadSize]), good[end:]...),
		"a chunk repeated":    append(append(bytes.Clone(good[:end]), good[imaging.PackHeadSize:end]...), good[end:]...),
		"half of a chunk":     append(bytes.Clone(good[:end-100]), good[end:]...),
		"zeros of its length": make([]byte, len(good)),
	} {
		t.Run(name, func(t *testing.T) {
			err := imaging.ScanPack(bytes.NewReader(b), int64(len(b)), func(int64, imaging.ChunkHead) error { return nil })
			if !errors.Is(err, imaging.ErrPack) {
				t.Errorf("ScanPack = %v; want ErrPack", err)
			}
			damaged := false
			err = imaging.WalkPack(bytes.NewReader(b), int64(len(b)), func(_ int64, _ imaging.ChunkHead, damage error) error {
				damaged = damaged || damage != nil
				return nil
			})
			if err != nil || !damaged {
				t.Errorf("WalkPack = %v, damage told: %v; want nil, true", err, damaged)
			}
		})
	}
}

func TestDecodingLeavesWhatLiesBehindAlone(t *testing.T) {
	plain := bytes.Repeat([]byte("0123456789abcdef"), 512)
	frame := mustEncode(t, plain)
	buf := bytes.Repeat([]byte{0xEE}, len(plain)+4096)
	if _, err := imaging.DecodeChunk(frame, buf[:0], imaging.Sum(plain), len(plain)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(buf[:len(plain)], plain) {
		t.Error("the memory of dst was not used")
	}
	for i, c := range buf[len(plain):] {
		if c != 0xEE {
			t.Fatalf("byte %d behind the chunk was overwritten: a neighbour in the same buffer would be damaged", i)
		}
	}
}
