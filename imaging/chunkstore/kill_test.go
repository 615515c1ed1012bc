package chunkstore_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"ingot/imaging"
	"ingot/imaging/chunkstore"
)

// victimDir names the store that a child process of this test imports into until it is killed.
const victimDir = "INGOT_TEST_VICTIM"

// TestVictim is not a test by itself: it is the child of the next one. It imports disk after disk and tells
// each manifest that it was promised.
func TestVictim(t *testing.T) {
	dir := os.Getenv(victimDir)
	if dir == "" {
		t.Skip("runs only as a child of TestAKillLeavesAcceptedManifestsWhole")
	}
	s := openStore(t, dir)
	for i := uint64(0); ; i++ {
		d, _ := importDisk(t, s, diskBytes(100+i, 200))
		fmt.Printf("accepted %s\n", d)
	}
}

func TestAKillLeavesAcceptedManifestsWhole(t *testing.T) {
	dir := t.TempDir()
	promised := map[imaging.Digest][]string{}
	for round := range 6 {
		for _, d := range victim(t, dir, 3+4*round) {
			promised[d] = []string{d.Short()}
		}
		s := openStore(t, dir)
		if r := check(t, s, chunkstore.CheckOptions{ReadData: true, Versions: promised}); !r.OK() {
			t.Fatalf("after kill %d with %d promised manifests: %v", round, len(promised), r.Problems)
		}
		for _, sub := range []string{"packs", "manifests", "index"} {
			for _, f := range files(t, dir, sub, "") {
				if strings.Contains(f, "/tmp-") {
					t.Errorf("%s is left", f)
				}
			}
		}
		s.Close()
	}
}

// victim starts a child and kills it in the middle of the import behind n accepted ones.
func victim(t *testing.T, dir string, n int) (accepted []imaging.Digest) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestVictim$")
	cmd.Env = append(os.Environ(), victimDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for sc := bufio.NewScanner(out); sc.Scan(); {
		d, err := imaging.ParseDigest(strings.TrimPrefix(sc.Text(), "accepted "))
		if err != nil {
			t.Fatalf("the victim said %q", sc.Text())
		}
		if accepted = append(accepted, d); len(accepted) == n {
			cmd.Process.Kill()
			break
		}
	}
	var killed *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &killed) {
		t.Fatalf("the victim ended with %v", err)
	}
	return accepted
}

func TestManyImportsAtOnceShareTheStore(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	disks := make([][]byte, 6)
	digests := make([]imaging.Digest, len(disks))
	var wg sync.WaitGroup
	for i := range disks {
		disks[i] = diskBytes(uint64(200+i/2), 400) // each twice
		wg.Go(func() { digests[i], _ = importDisk(t, s, disks[i]) })
	}
	wg.Wait()
	for _, reopened := range []bool{false, true} {
		for i, d := range digests {
			if !bytes.Equal(rebuild(t, s, d), disks[i]) {
				t.Fatalf("disk %d differs, reopened %v", i, reopened)
			}
		}
		if r := check(t, s, chunkstore.CheckOptions{ReadData: true}); !r.OK() {
			t.Fatal(r.Problems)
		}
		s.Close()
		s = openStore(t, dir)
	}
	if n := len(files(t, dir, "index", ".idx")); n > 4 {
		t.Errorf("%d index files for 6 packs; want them merged", n)
	}
}
