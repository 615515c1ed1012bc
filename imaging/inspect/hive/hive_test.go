package hive_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"ingot/imaging/inspect/hive"
	"ingot/imaging/inspect/hive/hivetest"
)

func mustOpen(t testing.TB, b []byte) *hive.Hive {
	t.Helper()
	h, err := hive.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func manyKeys(n int) string {
	var s strings.Builder
	for i := range n {
		fmt.Fprintf(&s, "[HKEY_LOCAL_MACHINE\\H\\Many\\Key %04d]\n\"Number\"=dword:%08x\n\n", i, i)
	}
	return s.String()
}

func TestWhatAnotherLibraryWroteIsRead(t *testing.T) {
	long := strings.Repeat("ab,", 40_000)
	b := hivetest.Merge(t, "[HKEY_LOCAL_MACHINE\\H\\Microsoft\\Windows]\n\"ProductName\"=\"Windows 10 Pro\"\n\"UBR\"=dword:00000fdd\n\"Raw\"=hex:01,02,03,04,05\n\"Q\"=hex(b):01,00,00,00,01,00,00,00\n\"Big\"=hex:"+
		strings.TrimSuffix(long, ",")+"\n\"Ünïcode\"=hex(1):67,00,72,00,fc,00,6e,00,00,00\n\n"+manyKeys(1500))
	h := mustOpen(t, b)
	if h.Dirty() {
		t.Error("the hive is called dirty")
	}
	k, err := h.Key(`microsoft\WINDOWS`)
	if err != nil || k.Name != "Windows" {
		t.Fatalf("key %+v, %v", k, err)
	}
	if s, err := k.Text("productname"); s != "Windows 10 Pro" || err != nil {
		t.Errorf("ProductName = %q, %v", s, err)
	}
	if n, err := k.Number("UBR"); n != 0xfdd || err != nil {
		t.Errorf("UBR = %d, %v", n, err)
	}
	if n, err := k.Number("Q"); n != 1<<32+1 || err != nil {
		t.Errorf("Q = %d, %v", n, err)
	}
	if s, err := k.Text("ünïCODE"); s != "grün" || err != nil {
		t.Errorf("a name in other letters = %q, %v", s, err)
	}
	if v, err := k.Value("Raw"); err != nil || !bytes.Equal(v.Data, []byte{1, 2, 3, 4, 5}) {
		t.Errorf("Raw = %v, %v", v, err)
	}
	if v, err := k.Value("Big"); err != nil || !bytes.Equal(v.Data, bytes.Repeat([]byte{0xab}, 40_000)) {
		t.Errorf("Big has %d bytes, %v", len(v.Data), err)
	}
	if _, err := k.Value("absent"); !hive.IsNotExist(err) {
		t.Errorf("absent = %v", err)
	}
	if _, err := h.Key(`Microsoft\Absent\More`); !hive.IsNotExist(err) {
		t.Errorf("an absent key = %v", err)
	}
	many, err := h.Key("Many")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := many.Each(func(s *hive.Key) bool {
		if v, err := s.Number("Number"); err != nil || s.Name != fmt.Sprintf("Key %04d", v) {
			t.Errorf("%s: %d, %v", s.Name, v, err)
		}
		n++
		return true
	}); err != nil || n != 1500 {
		t.Errorf("%d keys, %v; want 1500", n, err)
	}
}

func TestAHiveWithWorkInItsLogsIsDirty(t *testing.T) {
	b := hivetest.Empty()
	b[4]++
	if !mustOpen(t, hivetest.Seal(b)).Dirty() {
		t.Error("sequence numbers that differ are not told")
	}
	b = hivetest.Empty()
	b[60] ^= 1
	if !mustOpen(t, b).Dirty() {
		t.Error("a base block that is not whole is not told")
	}
}

func TestAHostileHiveCostsLittle(t *testing.T) {
	le := binary.LittleEndian
	put := func(at int, v uint32) func([]byte) { return func(b []byte) { le.PutUint32(b[at:], v) } }
	const root = 4096 + 0x20 + 4
	for name, edit := range map[string]func([]byte){
		"no magic":                    func(b []byte) { b[0] = 'x' },
		"another version":             put(20, 9),
		"a root outside":              put(36, 0x7FFFFFF8),
		"a root that is not aligned":  put(36, 0x21),
		"a root that is no key":       put(36, 0x78),
		"a root cell that is free":    put(root-4, 88),
		"a root cell beyond the bins": put(root-4, 0x80000000),
		"a root cell too short":       put(root-4, 0xFFFFFFF8),
		"a name longer than the cell": func(b []byte) { le.PutUint16(b[root+72:], 60000) },
		"subkeys in the key itself":   func(b []byte) { put(root+20, 0xFFFFFFFF)(b); put(root+28, 0x20)(b) },
		"a list of lists in itself":   func(b []byte) { list(b, "ri", 0xA8, 500) },
		"a list of itself":            func(b []byte) { list(b, "lf", 0xA8, 400) },
		"a list that leaves its cell": func(b []byte) { list(b, "li", 0x20, 65535) },
		"values outside":              func(b []byte) { put(root+36, 0xFFFFFFFF)(b); put(root+40, 0x20)(b) },
		"bins beyond the file":        put(40, 0xFFFFFFF0),
		"no bins":                     put(40, 0),
	} {
		b := hivetest.Empty()
		edit(b)
		h, err := hive.Open(bytes.NewReader(b), int64(len(b)))
		if err == nil {
			var k *hive.Key
			if k, err = h.Root(); err == nil {
				n := 0
				err = errors.Join(k.Each(func(*hive.Key) bool { n++; return true }), missing(k.Value("x")))
				if n > 70_000 {
					t.Errorf("%s: %d keys", name, n)
				}
			}
		}
		if err == nil && name != "bins beyond the file" {
			t.Errorf("%s: no error", name)
		}
		if err != nil && !errors.Is(err, hive.ErrDamaged) {
			t.Errorf("%s: %v; want ErrDamaged", name, err)
		}
	}
	if _, err := hive.Open(bytes.NewReader(nil), 0); !errors.Is(err, hive.ErrDamaged) {
		t.Errorf("nothing: %v", err)
	}
}

// TestAHiveThatIsItsOwnChildEnds: 400 subkeys that are all the key itself, three levels down, are 64 million.
func TestAHiveThatIsItsOwnChildEnds(t *testing.T) {
	b := hivetest.Empty()
	list(b, "lf", 0x20, 400)
	root, err := mustOpen(t, b).Root()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	var down func(k *hive.Key, depth int) error
	down = func(k *hive.Key, depth int) (err error) {
		return errors.Join(k.Each(func(s *hive.Key) bool {
			if n++; depth < 3 {
				err = down(s, depth+1)
			}
			return err == nil
		}), err)
	}
	if err := down(root, 1); !errors.Is(err, hive.ErrDamaged) || n > 5_000_000 {
		t.Errorf("%d keys, %v; want an end", n, err)
	}
}

// list makes the free rest of the bin a list of subkeys, all of them at one place.
func list(b []byte, kind string, to uint32, count int) {
	le := binary.LittleEndian
	le.PutUint32(b[4096+0xA8:], uint32(0x100000000-(4096-0xA8)))
	copy(b[4096+0xAC:], kind)
	le.PutUint16(b[4096+0xAE:], uint16(count))
	for at := 4096 + 0xB0; at+4 <= len(b); at += 4 {
		le.PutUint32(b[at:], to)
	}
	le.PutUint32(b[4096+0x24+20:], 1<<31)
	le.PutUint32(b[4096+0x24+28:], 0xA8)
}

func missing(_ hive.Value, err error) error {
	if hive.IsNotExist(err) {
		return nil
	}
	return err
}

func FuzzHive(f *testing.F) {
	bases := [][]byte{hivetest.Empty()}
	if _, err := exec.LookPath("hivexregedit"); err == nil {
		bases = append(bases, hivetest.Merge(f, "[HKEY_LOCAL_MACHINE\\H\\Select]\n\"Current\"=dword:00000001\n\"Text\"=\"text\"\n\"Big\"=hex:"+strings.TrimSuffix(strings.Repeat("ab,", 17_000), ",")+"\n\n"+manyKeys(20)))
	}
	f.Add(byte(0), []byte("\x24\x10\x00\x00\x01\x00\x00\x00"))
	f.Add(byte(1), []byte("\x40\x10\x00\x00\x01\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, which byte, edits []byte) {
		b := bytes.Clone(bases[int(which)%len(bases)])
		for ; len(edits) >= 8; edits = edits[8:] {
			binary.LittleEndian.PutUint32(b[int(binary.LittleEndian.Uint32(edits))%(len(b)-4):], binary.LittleEndian.Uint32(edits[4:]))
		}
		h, err := hive.Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		for _, p := range []string{"Select", `Many\Key 0007`} {
			if k, err := h.Key(p); err == nil {
				_, _ = k.Value("Current")
				_, _ = k.Value("Big")
				_, _ = k.Text("Text")
			}
		}
		if k, err := h.Root(); err == nil {
			_ = k.Each(func(s *hive.Key) bool { return s.Each(func(*hive.Key) bool { return true }) == nil })
		}
	})
}
