package chunkstore_test

import (
	"sync/atomic"
	"testing"

	"ingot/imaging"
	"ingot/imaging/chunkstore"
)

// TestAManifestPutWhileASweepBeginsKeepsItsChunks puts manifests that no record names yet, as fast as it can, while one
// sweep after another begins and finds nothing wanted. Their batches have ended: only the manifest holds the chunks.
func TestAManifestPutWhileASweepBeginsKeepsItsChunks(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	disks := map[imaging.Digest][]byte{}
	var done atomic.Bool
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for !done.Load() {
			if _, err := s.Sweep(t.Context(), chunkstore.SweepOptions{Wanted: want()}); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for seed := range uint64(300) {
		disk := noise(seed, 8)
		d, _ := importDisk(t, s, disk)
		disks[d] = disk
	}
	done.Store(true)
	<-ended
	whole(t, s, dir, disks)
}
