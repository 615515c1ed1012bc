package benchmark

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"ingot/cmd/internal/golden"
	"ingot/cmd/internal/lab"
)

//go:embed dedup.sh
var dedupScript string

// Goals of the store, as the project states them: of what fixed chunks of 64 KiB take for the same next version, and of
// the time that partclone and zstd take to write the first one.
const (
	goalInPlace = 0.86
	goalRebuilt = 0.25
	goalCapture = 1.2
	fixedChunk  = 64 << 10
)

// The next version gets some packages and loses others.
var comesAndGoes = map[Set][2]string{
	Office: {"inkscape libreoffice-impress", "gimp"},
	Small:  {"mc tmux nano", "vim"},
}

// dedupSet are the disks of three versions, the second made in two ways.
type dedupSet struct {
	first, inPlace, rebuilt string
	state                   string // what was in both versions, so that figures of two days can be told apart
}

func (s dedupSet) disks() []string { return []string{s.first, s.inPlace, s.rebuilt} }

// dedupDisks returns the set, making what the cache lacks. Its state is that of the archives on that day; it is kept.
func dedupDisks(ctx context.Context, cache string, set Set, out io.Writer) (dedupSet, error) {
	first, err := officeDisk(ctx, cache, set, out)
	if err != nil {
		return dedupSet{}, err
	}
	change := comesAndGoes[set]
	sum := sha256.Sum256([]byte(dedupScript + strings.Join(change[:], "\n")))
	dir := filepath.Join(filepath.Dir(first), "next-"+hex.EncodeToString(sum[:6]))
	s := dedupSet{first: first, inPlace: filepath.Join(dir, "inplace.raw"), rebuilt: filepath.Join(dir, "rebuilt.raw")}
	state := filepath.Join(dir, "state")
	if b, err := os.ReadFile(state); err == nil {
		s.state = strings.TrimSpace(string(b))
		return s, nil
	}
	fmt.Fprintln(out, "dedup: making the next version of the disk, in place and rebuilt (up to 300 MB to download, 3 to 8 minutes; kept in the cache)")
	work, err := os.MkdirTemp(cache, ".build-")
	if err != nil {
		return s, err
	}
	defer os.RemoveAll(work)
	if err := makeNext(ctx, first, work, change, out); err != nil {
		return s, fmt.Errorf("make the next version: %w", err)
	}
	if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o755)); err != nil {
		return s, err
	}
	for _, name := range []string{"inplace.raw", "rebuilt.raw", "state"} { // the state last: it says that all is there
		if err := os.Rename(filepath.Join(work, name), filepath.Join(dir, name)); err != nil {
			return s, err
		}
	}
	b, err := os.ReadFile(state)
	s.state = strings.TrimSpace(string(b))
	return s, err
}

func makeNext(ctx context.Context, first, work string, change [2]string, out io.Writer) error {
	mirror, security, err := golden.Archives(ctx)
	if err != nil {
		return err
	}
	inPlace, rebuilt := filepath.Join(work, "inplace.raw"), filepath.Join(work, "rebuilt.raw")
	esp, root := filepath.Join(work, "esp.fat"), filepath.Join(work, "root.ext4")
	for _, to := range []string{inPlace, rebuilt} {
		if _, err := lab.Command(ctx, "cp", "--sparse=always", first, to); err != nil {
			return err
		}
	}
	if err := errors.Join(sparse(root, rootSize), sparse(esp, espSize)); err != nil {
		return err
	}
	if _, err := lab.Command(ctx, "dd", "if="+first, "of="+esp, "bs=1M", "conv=notrunc,sparse", "status=none", fmt.Sprintf("skip=%d", espAt/mib), fmt.Sprintf("count=%d", espSize/mib)); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "--propagation", "private", "--fork", "--kill-child", "sh", "-c", dedupScript)
	cmd.Env = append(os.Environ(), "DISK="+inPlace, fmt.Sprintf("ROOT_AT=%d", rootAt), fmt.Sprintf("ROOT_SIZE=%d", rootSize), "ESP="+esp, "REBUILT="+root,
		"MIRROR="+mirror, "SECURITY="+security, "ADD="+change[0], "REMOVE="+change[1], "WORK="+work, "STATE="+filepath.Join(work, "state"))
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		log, _ := os.ReadFile(filepath.Join(work, "log")) // absent when nothing was upgraded yet
		lines := strings.Split(strings.TrimSpace(string(log)), "\n")
		return fmt.Errorf("%w\n%s", err, strings.Join(lines[max(0, len(lines)-15):], "\n"))
	}
	// The rebuilt disk begins as the first one; its partitions are emptied before the new ones are laid over them.
	for _, s := range [][]string{
		{"fallocate", "--punch-hole", "--offset", fmt.Sprint(espAt), "--length", fmt.Sprint(espSize + rootSize), rebuilt},
		place(esp, rebuilt, espAt), place(root, rebuilt, rootAt), place(esp, inPlace, espAt),
	} {
		if _, err := lab.Command(ctx, s...); err != nil {
			return err
		}
	}
	return errors.Join(os.Remove(esp), os.Remove(root))
}

// dedup measures what the next version of a disk adds to the store, beside fixed chunks, and how long taking the first
// one lasts, beside partclone and zstd to the same place.
func (m *measurement) dedup(ctx context.Context) error {
	set, err := dedupDisks(ctx, benchDir(m.rig.env.Cache), m.o.Set, m.rig.env.Out)
	if err != nil {
		return err
	}
	m.rig.env.Say("dedup: %s", set.state)
	work := filepath.Join(m.rig.env.Dir, "dedup")
	if err := os.Mkdir(work, 0o700); err != nil {
		return err
	}
	defer os.RemoveAll(work)
	ours, err := m.storeAdds(ctx, filepath.Join(work, "store"), set)
	if err != nil {
		return err
	}
	fixed, err := fixedAdds(ctx, set.disks(), fixedChunk)
	if err != nil {
		return err
	}
	const level = "chunks of both at Ingot's level, about zstd -3"
	beside := "fixed 64 KiB"
	m.add(row{work: "store: v1", got: mb(ours[0]), unit: "MB", against: beside, base: mb(fixed[0]), remark: level})
	m.add(row{work: "store: v2 upgraded in place adds", got: mb(ours[1]), unit: "MB", against: beside, base: mb(fixed[1]), goal: goalInPlace, remark: set.state})
	m.add(row{work: "store: v2 rebuilt in a fresh file system adds", got: mb(ours[2]), unit: "MB", against: beside, base: mb(fixed[2]), goal: goalRebuilt, remark: "into the store that holds both"})
	return m.captureRace(ctx, work, set.first)
}

// storeAdds imports the three into one store, one behind the other, and gives what each added.
func (m *measurement) storeAdds(ctx context.Context, dir string, set dedupSet) (out [3]uint64, err error) {
	for i, disk := range set.disks() {
		if out[i], err = m.importInto(ctx, dir, disk); err != nil {
			return out, err
		}
	}
	return out, os.RemoveAll(dir)
}

// importInto runs the real program without a daemon and gives the bytes that the version added.
func (m *measurement) importInto(ctx context.Context, data, disk string) (uint64, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(m.rig.env.Bin, "ingot"), "--config", "/dev/null", "--data", data, "--quiet", "image", "import", disk, "--image", "dedup", "--note", "bench", "-o", "json")
	var said strings.Builder
	cmd.Stderr = &said
	b, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("import %s: %w: %s", filepath.Base(disk), err, said.String())
	}
	var got []struct {
		StoredBytes uint64 `json:"stored_bytes"`
	}
	if err := json.Unmarshal(b, &got); err != nil || len(got) != 1 || got[0].StoredBytes == 0 {
		return 0, fmt.Errorf("import %s told %.200q", filepath.Base(disk), b)
	}
	return got[0].StoredBytes, nil
}

// captureRace lets both take the first disk to the same folder, in turns.
func (m *measurement) captureRace(ctx context.Context, work, disk string) error {
	if _, err := exec.LookPath("partclone.ext4"); err != nil {
		m.rig.env.Say("partclone is not installed here: the capture has no ratio")
		return nil
	}
	var ours, theirs []float64
	for round := range m.o.Rounds {
		start := time.Now()
		data := filepath.Join(work, "timed")
		if _, err := m.importInto(ctx, data, disk); err != nil {
			return err
		}
		ours = append(ours, time.Since(start).Seconds())
		if err := os.RemoveAll(data); err != nil {
			return err
		}
		peer := filepath.Join(work, "peer")
		if err := os.Mkdir(peer, 0o700); err != nil {
			return err
		}
		start = time.Now()
		if err := partcloned(ctx, disk, peer); err != nil {
			return err
		}
		theirs = append(theirs, time.Since(start).Seconds())
		if err := os.RemoveAll(peer); err != nil {
			return err
		}
		m.rig.env.Say("capture, round %d: Ingot %.1f s, partclone | zstd %.1f s", round+1, ours[round], theirs[round])
	}
	m.add(row{work: "capture of v1, proven and synced", got: median(ours), unit: "s", against: "partclone | zstd -3 -T0", base: median(theirs), goal: goalCapture,
		remark: "chunks at about zstd -3; the peer syncs too"})
	return nil
}

// partcloned writes the disk's partitions as Clonezilla and FOG do, durably.
func partcloned(ctx context.Context, disk, dir string) error {
	for _, p := range []struct {
		fs       string
		at, size int64
	}{{"vfat", espAt, espSize}, {"ext4", rootAt, rootSize}} {
		cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", partFunction+fmt.Sprintf(`part %s %d %d; sync -f "$OUT"`, p.fs, p.at, p.size))
		cmd.Env = append(os.Environ(), "DISK="+disk, "OUT="+filepath.Join(dir, p.fs+".zst"))
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("partclone | zstd: %w: %s", err, text)
		}
	}
	return nil
}
