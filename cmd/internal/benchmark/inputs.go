package benchmark

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Names of the peers' files, beside the disk.
const (
	wholeFile = "disk.zst"
	espFile   = "esp.pcl.zst"
	rootFile  = "root.pcl.zst"
)

// peerInputs makes what the peers send, once: the whole disk by zstd -3, and its partitions by partclone, as
// Clonezilla and FOG keep them.
func peerInputs(ctx context.Context, disk string, out io.Writer) error {
	dir := filepath.Dir(disk)
	steps := []struct{ file, script string }{
		{wholeFile, `zstd -q -f -3 -T0 "$DISK" -o "$OUT"`},
		{espFile, `part vfat ` + fmt.Sprint(espAt, " ", espSize)},
		{rootFile, `part ext4 ` + fmt.Sprint(rootAt, " ", rootSize)},
	}
	for _, s := range steps {
		path := filepath.Join(dir, s.file)
		if _, err := os.Stat(path); err == nil {
			continue
		}
		start := time.Now()
		cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", partFunction+s.script)
		cmd.Env = append(os.Environ(), "DISK="+disk, "OUT="+path+".tmp")
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("make %s for the peers: %w: %s", s.file, err, text)
		}
		if err := os.Rename(path+".tmp", path); err != nil {
			return err
		}
		fmt.Fprintf(out, "bench: %s made in %.0f s\n", s.file, time.Since(start).Seconds())
	}
	return nil
}

// partFunction is a shell function: part KIND OFFSET SIZE writes a partition of $DISK to $OUT. A loop device that is let
// go while it is open goes away with its last user, however that ends.
const partFunction = `part() {
	l=$(losetup -f --show --offset "$2" --sizelimit "$3" "$DISK"); exec 3<"$l"; losetup -d "$l"
	partclone."$1" -q -c -s "$l" -o - -L /dev/null 2>/dev/null | zstd -q -f -3 -T0 -o "$OUT"
	exec 3<&-
}
`

// sizeOf is a file's size in bytes.
func sizeOf(path string) (uint64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return uint64(info.Size()), nil
}
