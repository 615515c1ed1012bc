package e2e

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"ingot/cmd/internal/lab"
	"ingot/imaging"
	"ingot/imaging/chunkstore"
)

// openStore opens a copy of the daemon's image store: packs and manifests never change, so that a copy made
// while the daemon runs is whole.
func openStore(ctx context.Context, e *Env, d *Daemon) (*chunkstore.Store, error) {
	dir, err := os.MkdirTemp(e.Dir, "store-")
	if err != nil {
		return nil, err
	}
	for _, sub := range []string{"packs", "manifests"} {
		if _, err := lab.Command(ctx, "cp", "-a", "--reflink=auto", filepath.Join(d.Data, sub), dir); err != nil {
			return nil, err
		}
	}
	return chunkstore.Open(dir)
}

// missing is the sum of the stored bytes of those data extents whose content differs in a drive's file: what a
// resumed deploy may fetch at most.
func missing(ctx context.Context, e *Env, d *Daemon, manifest imaging.Digest, path string) (bytes uint64, err error) {
	store, err := openStore(ctx, e, d)
	if err != nil {
		return 0, err
	}
	defer store.Close()
	m, err := store.OpenManifest(manifest)
	if err != nil {
		return 0, err
	}
	defer m.Close()
	disk, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer disk.Close()
	buf := make([]byte, m.Header().Params.Max)
	for x, err := range m.All() {
		if err != nil {
			return 0, err
		}
		if x.Kind != imaging.Data {
			continue
		}
		part := buf[:x.Length]
		if _, err := disk.ReadAt(part, int64(x.Offset)); err != nil {
			return 0, fmt.Errorf("read the drive at %d: %w", x.Offset, err)
		}
		if imaging.Sum(part) == x.Digest {
			continue
		}
		frame, err := store.Frame(x.Digest)
		if err != nil {
			return 0, err
		}
		bytes += uint64(len(frame))
	}
	return bytes, nil
}

// doesNotBoot holds that no firmware can start from a drive: the first MiB is zero and neither end has a GPT.
func doesNotBoot(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	const mib = 1 << 20
	head := make([]byte, mib)
	if _, err := io.ReadFull(f, head); err != nil {
		return err
	}
	for i, b := range head {
		if b != 0 {
			return fmt.Errorf("byte %d of the drive is %#x; want the first MiB zero", i, b)
		}
	}
	tail := make([]byte, mib)
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if _, err := f.ReadAt(tail, info.Size()-mib); err != nil {
		return err
	}
	for _, sector := range []int{512, 4096} {
		if string(tail[mib-sector:][:8]) == "EFI PART" {
			return fmt.Errorf("the drive's end holds a GPT for sectors of %d", sector)
		}
	}
	return nil
}

// untouched holds that nothing was ever written to a drive that was new: its file has no blocks.
func untouched(ctx context.Context, path string) error {
	out, err := lab.Command(ctx, "stat", "-c", "%b", path)
	if err != nil {
		return err
	}
	return that(out == "0\n", "the drive %s holds %s written blocks; want none", filepath.Base(path), out)
}
