package chunkstore_test

import (
	"bytes"
	"testing"

	"ingot/imaging"
)

func TestAClientRebuildsTheDiskFromTheStream(t *testing.T) {
	s := openStore(t, t.TempDir())
	disk := diskBytes(5, 4000)
	d, _ := importDisk(t, s, disk)
	c := serve(t, s)
	m, err := c.OpenManifest(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	got, bytesIn := make([]byte, len(disk)), uint64(0)
	fetched, err := c.Fetch(t.Context(), d, all(m), func(n uint64, frame []byte) error {
		var e [1]imaging.Extent
		if _, err := m.Extents(n, e[:]); err != nil {
			return err
		}
		bytesIn += uint64(len(frame))
		plain, err := imaging.DecodeChunk(frame, nil, e[0].Digest, int(e[0].Length))
		copy(got[e[0].Offset:], plain)
		return err
	})
	if err != nil || fetched != bytesIn {
		t.Fatalf("Fetch = %d, %v; want %d", fetched, err, bytesIn)
	}
	if !bytes.Equal(got, disk) {
		t.Error("the disk differs")
	}
}
