package personalise_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ingot/imaging/job"
	"ingot/imaging/personalise"
)

// FuzzImage gives the settings files of an image any content. The plan is refused in words, or it is carried out
// and reads back; either way nothing outside the image changes and the name is the one that was assigned.
func FuzzImage(f *testing.F) {
	f.Add("golden\n", "127.0.1.1 golden\n", "UUID=1 / ext4 defaults 0 1\n", "20-wired.network", "../..")
	f.Add("", "", "", "", "")
	f.Add("a b\nc", "\x00\n127.0.1.1", "tmpfs /var\n# x\n /var/lib ext4", "..", "/etc")
	f.Add(strings.Repeat("x", 5000), "::1 x\r\n", "\t/\t/\n / / /", ".network", "x\x00y")
	f.Fuzz(func(t *testing.T, hostname, hosts, fstab, unit, link string) {
		dir, root := tree(t, map[string]string{"usr/lib/os-release": "ID=x\n", "usr/lib/systemd/system/a.target": "", "etc/hostname": hostname,
			"etc/fstab": fstab, "etc/systemd/network/x": "", "var/lib/keep": ""})
		write := func(name, text string) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		write("etc/hosts", hosts)
		if unit != "" && unit != "." && unit != ".." && len(unit) < 200 && !strings.ContainsAny(unit, "/\x00") {
			write("etc/systemd/network/"+unit, "")
		}
		if link != "" && len(link) < 1000 && !strings.Contains(link, "\x00") {
			if err := os.Symlink(link, filepath.Join(dir, "etc/cloud")); err != nil {
				t.Fatal(err)
			}
		}
		changes, err := personalise.Plan(root, settings())
		if err == nil {
			err = personalise.Apply(root, changes)
		}
		if err == nil {
			_, err = personalise.ReadBack(root, changes)
		}
		var fault *job.Fault
		if err != nil && !errors.As(err, &fault) {
			t.Fatalf("not in words: %v", err)
		}
		if err == nil && read(t, dir, "etc/hostname") != "LAP-0042\n" {
			t.Errorf("the name is %q", read(t, dir, "etc/hostname"))
		}
		if beside, err := os.ReadDir(filepath.Dir(dir)); err != nil || len(beside) != 1 {
			t.Errorf("beside the image lies %v, %v", beside, err)
		}
		for _, c := range changes {
			if !filepath.IsLocal(c.Path) {
				t.Errorf("a change of %q", c.Path)
			}
		}
	})
}
