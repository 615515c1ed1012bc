package capture

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzTexts reads what an image holds for os-release and fstab. What comes out goes into a manifest's header and
// before people, so it is whole characters, without control characters, and bounded.
func FuzzTexts(f *testing.F) {
	for _, s := range []string{"ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n", "ID='x'\n#ID=y\nNAME=\"a\\\"b\"", "=\n==\nID=\"", "ID=\x1b[2J\xff",
		"UUID=1 / ext4 defaults 0 1\n", "# /dev/sda1 / ext4\n", "/dev/sda1 /boot ext4\n\t tmpfs\t/\n", strings.Repeat("x", 70<<10)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for key, value := range parseOSRelease(b) {
			value = clip(value)
			if !utf8.ValidString(value) || strings.ContainsFunc(value, func(r rune) bool { return r < 0x20 || r == 0x7f }) || len(value) > 200 {
				t.Errorf("%q = %q", key, value)
			}
		}
		if mountsRoot(b) && !bytes.Contains(b, []byte("/")) {
			t.Errorf("a root is mounted by %q", b)
		}
	})
}
