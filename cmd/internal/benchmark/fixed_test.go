package benchmark

import (
	"math/rand"
	"os"
	"path/filepath"
	"testing"
)

func TestFixedChunksCountWhatIsNewOnce(t *testing.T) {
	const chunk = 64 << 10
	noise := make([]byte, 8*chunk)
	rand.New(rand.NewSource(1)).Read(noise)
	disk := func(name string, change func([]byte)) string {
		b := make([]byte, 32*chunk+4096)
		copy(b, noise[:4*chunk])
		copy(b[10*chunk:], noise[:chunk]) // there already
		change(b)
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	same := disk("same", func([]byte) {})
	more := disk("more", func(b []byte) { copy(b[20*chunk:], noise[5*chunk:7*chunk]) })
	moved := disk("moved", func(b []byte) { copy(b[4096:], noise[:4*chunk]) })
	for name, c := range map[string]struct {
		second, third string
		want          [3]uint64 // chunks that do not shrink
	}{
		"two more chunks, held then": {more, more, [3]uint64{4, 2, 0}},
		"two more chunks, none more": {more, same, [3]uint64{4, 2, 0}},
		"moved by a block":           {moved, more, [3]uint64{4, 4, 2}},
	} {
		got, err := fixedAdds(t.Context(), []string{same, c.second, c.third}, chunk)
		if err != nil {
			t.Fatal(err)
		}
		for i, w := range c.want {
			if n := (got[i] + chunk/2) / chunk; n != w {
				t.Errorf("%s: disk %d adds %d bytes, about %d chunks; want %d", name, i, got[i], n, w)
			}
		}
	}
}
