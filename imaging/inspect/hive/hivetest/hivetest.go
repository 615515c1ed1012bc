// Package hivetest makes registry hives for tests: an empty one by itself, and with content by hivex, whose library is
// another one than ours.
package hivetest

import (
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Empty is a hive with a root key and nothing else, as hivex needs one to begin with.
func Empty() []byte {
	b := make([]byte, 8192)
	le := binary.LittleEndian
	copy(b, "regf")
	le.PutUint32(b[4:], 1)
	le.PutUint32(b[8:], 1)
	le.PutUint32(b[20:], 1)
	le.PutUint32(b[24:], 5)
	le.PutUint32(b[32:], 1)
	le.PutUint32(b[36:], 0x20)
	le.PutUint32(b[40:], 4096)
	le.PutUint32(b[44:], 1)
	h := b[4096:]
	copy(h, "hbin")
	le.PutUint32(h[8:], 4096)
	nk := h[0x20:]
	le.PutUint32(nk, uint32(0x100000000-88))
	copy(nk[4:], "nk\x2c\x00")
	le.PutUint32(nk[4+16:], 0xFFFFFFFF)
	for _, at := range []int{28, 32, 40, 48} {
		le.PutUint32(nk[4+at:], 0xFFFFFFFF)
	}
	le.PutUint32(nk[4+44:], 0x78)
	le.PutUint16(nk[4+72:], 4)
	copy(nk[4+76:], "ROOT")
	sk := h[0x78:]
	le.PutUint32(sk, uint32(0x100000000-48))
	copy(sk[4:], "sk")
	le.PutUint32(sk[8:], 0x78)
	le.PutUint32(sk[12:], 0x78)
	le.PutUint32(sk[16:], 1)
	le.PutUint32(sk[20:], 20)
	copy(sk[24:], "\x01\x00\x04\x80")
	le.PutUint32(h[0xA8:], 4096-0xA8)
	return Seal(b)
}

// Seal writes the checksum of the base block.
func Seal(b []byte) []byte {
	le := binary.LittleEndian
	sum := uint32(0)
	for i := 0; i < 508; i += 4 {
		sum ^= le.Uint32(b[i:])
	}
	le.PutUint32(b[508:], sum)
	return b
}

// Merge gives a hive into which hivex, another program's library, wrote a .reg file of keys below
// HKEY_LOCAL_MACHINE\H. The test is skipped where the tool is missing.
func Merge(t testing.TB, reg string) []byte {
	t.Helper()
	if _, err := exec.LookPath("hivexregedit"); err != nil {
		t.Skip("hivexregedit is missing: install Debian's package libwin-hivex-perl")
	}
	dir := t.TempDir()
	path, text := filepath.Join(dir, "hive"), filepath.Join(dir, "text.reg")
	if err := errors.Join(os.WriteFile(path, Empty(), 0o600), os.WriteFile(text, []byte("Windows Registry Editor Version 5.00\n\n"+parents(reg)), 0o600)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("hivexregedit", "--merge", "--prefix", `HKEY_LOCAL_MACHINE\H`, path, text).CombinedOutput(); err != nil {
		t.Fatalf("hivexregedit: %v: %s", err, out)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// parents puts the keys before each key that it lies below: the tool makes one level at a time.
func parents(reg string) string {
	var out strings.Builder
	made := map[string]bool{}
	for line := range strings.Lines(reg) {
		if key, ok := strings.CutPrefix(strings.TrimSpace(line), "["); ok {
			parts := strings.Split(strings.TrimSuffix(key, "]"), `\`)
			for n := 3; n < len(parts); n++ {
				if p := strings.Join(parts[:n], `\`); !made[p] {
					made[p] = true
					out.WriteString("[" + p + "]\n\n")
				}
			}
			made[strings.Join(parts, `\`)] = true
		}
		out.WriteString(line)
	}
	return out.String()
}
