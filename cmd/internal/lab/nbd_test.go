package lab

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// qemuIO runs commands of QEMU's own block layer against the server, as a laptop's drive would.
func qemuIO(t *testing.T, url string, commands ...string) string {
	t.Helper()
	tool, err := exec.LookPath("qemu-io")
	if err != nil {
		t.Skip("qemu-io (package qemu-utils) is not installed: the NBD server is not tested")
	}
	args := []string{"-f", "raw", "-t", "none"}
	for _, c := range commands {
		args = append(args, "-c", c)
	}
	out, _ := exec.Command(tool, append(args, url)...).CombinedOutput() // a refused request is an exit code, too
	return string(out)
}

func TestQEMUsBlockLayerReadsAndWritesThroughTheServer(t *testing.T) {
	for _, x := range []struct {
		name     string
		decide   func(NBDRequest) NBDAnswer
		commands []string
		says     string
		want     byte // at 1 MiB afterwards; the file is full of 'o'
	}{
		{"an honest server keeps what was written", func(NBDRequest) NBDAnswer { return Obey },
			[]string{"write -P 0x6e 1M 64k", "flush", "read -P 0x6e 1M 64k"}, "read 65536/65536", 'n'},
		{"zeroes are zeroes", func(NBDRequest) NBDAnswer { return Obey },
			[]string{"write -z 1M 64k", "read -P 0 1M 64k"}, "read 65536/65536", 0},
		{"a lying server acknowledges a write and keeps the old bytes", func(r NBDRequest) NBDAnswer {
			if r.Op == NBDWrite {
				return Lie
			}
			return Obey
		}, []string{"write -P 0x6e 1M 64k"}, "wrote 65536/65536", 'o'},
		{"a failing server says so", func(r NBDRequest) NBDAnswer {
			if r.Op == NBDWrite {
				return Fail
			}
			return Obey
		}, []string{"write -P 0x6e 1M 64k"}, "Input/output error", 'o'},
	} {
		t.Run(x.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "disk")
			if err := os.WriteFile(path, bytes.Repeat([]byte("o"), 4<<20), 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := ServeNBD(path, filepath.Join(dir, "nbd"), x.decide)
			if err != nil {
				t.Fatal(err)
			}
			if out := qemuIO(t, s.URL(), x.commands...); !strings.Contains(out, x.says) || strings.Contains(out, "Pattern verification failed") {
				t.Errorf("QEMU says %q; want %q in it", out, x.says)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got[1<<20:][:64<<10], bytes.Repeat([]byte{x.want}, 64<<10)) || got[2<<20] != 'o' {
				t.Errorf("the file holds %q at 1 MiB; want %q", got[1<<20], x.want)
			}
		})
	}
}
