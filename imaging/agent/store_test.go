package agent_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"ingot/imaging/job"
	"ingot/store"
)

// TestTheImageComesFromTheStoreOverTLS is the whole way: packs, chunk stream, handler, TLS, agent, file.
func TestTheImageComesFromTheStoreOverTLS(t *testing.T) {
	img := newGolden(t, 48)
	b := newBenchOver(t, img, img.keep(t, t.TempDir()))
	l := b.laptop(48)
	wait := l.boot(t.Context())
	l.order()
	l.hears("done")
	must(t, wait())
	l.holds()
	d := b.device()
	if d.State != store.Deployed || d.Holds.FetchedBytes < 40*mib {
		t.Errorf("device is %s, %d bytes were fetched; want deployed and about 43 MiB", d.State, d.Holds.FetchedBytes)
	}
}

// TestADamagedPackEndsTheDeployInPlainWords flips a byte in the middle of a pack, or cuts it.
func TestADamagedPackEndsTheDeployInPlainWords(t *testing.T) {
	cases := map[string]func(t *testing.T, pack string, size int64){
		"a flipped byte": func(t *testing.T, pack string, size int64) {
			f, err := os.OpenFile(pack, os.O_RDWR, 0)
			must(t, err)
			b := make([]byte, 1)
			_, err = f.ReadAt(b, size/2)
			must(t, err)
			b[0] ^= 1
			_, err = f.WriteAt(b, size/2)
			must(t, errors.Join(err, f.Close()))
		},
		"cut in half": func(t *testing.T, pack string, size int64) { must(t, os.Truncate(pack, size/2)) },
	}
	for name, damage := range cases {
		t.Run(name, func(t *testing.T) {
			img, dir := newGolden(t, 16), t.TempDir()
			packs := img.keep(t, dir)
			found, err := filepath.Glob(filepath.Join(dir, "packs", "*.pack"))
			must(t, err)
			if len(found) != 1 {
				t.Fatalf("%d packs; want 1", len(found))
			}
			info, err := os.Stat(found[0])
			must(t, err)
			must(t, os.Chmod(found[0], 0o600))
			damage(t, found[0], info.Size())
			b := newBenchOver(t, img, packs)
			l := b.laptop(16)
			ctx, off := context.WithCancel(t.Context())
			wait := l.boot(ctx)
			j := l.order()
			awaitFailure(t, l, job.CodeChunk)
			off()
			if err := wait(); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			if got := view(t, b, j.ID); got.State != job.Failed || got.Fault == nil || got.Fault.Code != job.CodeChunk {
				t.Errorf("job %s, fault %v; want failed with %s", got.State, got.Fault, job.CodeChunk)
			}
			if b.device().Holds != nil {
				t.Error("there is a deployment")
			}
			doesNotBoot(t, l)
		})
	}
}
