package personalise_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ingot/imaging"
	"ingot/imaging/job"
	"ingot/imaging/personalise"
)

// golden is the tree of a Debian with everything that has to be told the name. A value that begins with -> is a
// link.
var golden = map[string]string{
	"usr/lib/os-release":                           "ID=debian\n",
	"etc/os-release":                               "->../usr/lib/os-release",
	"usr/lib/systemd/system/multi-user.target":     "[Unit]\n",
	"etc/hostname":                                 "golden\n",
	"etc/hosts":                                    "127.0.0.1\tlocalhost\n127.0.1.1\tgolden.example.org golden\n10.0.0.5\tfiles\n",
	"etc/machine-id":                               "0123456789abcdef0123456789abcdef\n",
	"var/lib/dbus/machine-id":                      "->../../../etc/machine-id",
	"var/lib/systemd/random-seed":                  "seed",
	"etc/ssh/ssh_host_rsa_key":                     "private",
	"etc/ssh/ssh_host_rsa_key.pub":                 "public",
	"etc/ssh/sshd_config":                          "Port 22\n",
	"etc/cloud/cloud.cfg":                          "users: []\n",
	"etc/NetworkManager/NetworkManager.conf":       "[main]\n",
	"etc/dhcp/dhclient-enter-hooks.d/resolvconf":   "",
	"etc/systemd/network/20-wired.network":         "[Match]\nName=en*\n",
	"etc/systemd/network/10-link.link":             "",
	"etc/fstab":                                    "UUID=1 / ext4 defaults 0 1\n",
	"var/lib/cloud/seed/nocloud/user-data":         "#cloud-config\npackages: [vim]\n",
	"etc/systemd/system/multi-user.target.wants/x": "->/lib/systemd/system/x",
}

func tree(t *testing.T, files map[string]string) (string, *os.Root) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "image")
	for name, text := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if to, link := strings.CutPrefix(text, "->"); link {
			err = os.Symlink(to, p)
		} else {
			err = os.WriteFile(p, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return dir, root
}

func settings() personalise.Settings {
	return personalise.Settings{Agent: []byte("\x7fELF agent"), Personal: job.Personal{DeviceName: "LAP-0042", Deployment: "d1", CallHomeURL: "https://10.0.0.1:8443",
		CallHomePin: "sha256:00", CallHomeSecret: "s3cret", InstanceID: "iid-1"}}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func personaliseTree(t *testing.T, root *os.Root) job.PersonalisedProof {
	t.Helper()
	changes, err := personalise.Plan(root, settings())
	if err != nil {
		t.Fatal(err)
	}
	if err := personalise.Apply(root, changes); err != nil {
		t.Fatal(err)
	}
	proof, err := personalise.ReadBack(root, changes)
	if err != nil {
		t.Fatal(err)
	}
	return proof
}

func TestAGoldenImageBecomesOneLaptop(t *testing.T) {
	dir, root := tree(t, golden)
	proof := personaliseTree(t, root)
	for name, want := range map[string]string{
		"etc/hostname":                         "LAP-0042\n",
		"etc/hosts":                            "127.0.0.1\tlocalhost\n127.0.1.1\tLAP-0042.example.org LAP-0042\n10.0.0.5\tfiles\n",
		"etc/machine-id":                       "",
		"var/lib/cloud/seed/nocloud/meta-data": "instance-id: iid-1\nlocal-hostname: LAP-0042\n",
		"var/lib/cloud/seed/nocloud/user-data": "#cloud-config\npackages: [vim]\n",
		"etc/ssh/sshd_config":                  "Port 22\n",
		"var/lib/ingot/ingot-agent":            "\x7fELF agent",
		"etc/systemd/network/20-wired.network.d/90-ingot.conf":               "",
		"etc/systemd/system/multi-user.target.wants/" + "ingot-keys.service": "",
		"etc/NetworkManager/conf.d/90-ingot.conf":                            "",
		"etc/dhcp/dhclient-enter-hooks.d/ingot":                              "",
		"etc/cloud/cloud.cfg.d/99-ingot.cfg":                                 "",
	} {
		got := read(t, dir, name)
		if want != "" && got != want || name == "etc/machine-id" && got != "" {
			t.Errorf("%s = %q; want %q", name, got, want)
		}
	}
	for _, name := range []string{"etc/ssh/ssh_host_rsa_key", "etc/ssh/ssh_host_rsa_key.pub", "var/lib/systemd/random-seed", "etc/.ingot-new"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there (%v)", name, err)
		}
	}
	if fi, err := os.Stat(filepath.Join(dir, "var/lib/ingot/callhome.json")); err != nil || fi.Mode() != 0o600 {
		t.Errorf("the secret's file is %v, %v; want mode 0600", fi.Mode(), err)
	}
	want := map[string]imaging.Digest{"/etc/hostname": imaging.Sum([]byte("LAP-0042\n")), "/etc/ssh/ssh_host_rsa_key": {}, "/etc/machine-id": imaging.Sum(nil)}
	for _, f := range proof.Files {
		if d, ok := want[f.Path]; ok && d != f.Digest {
			t.Errorf("the proof of %s is %s; want %s", f.Path, f.Digest, d)
		}
		delete(want, f.Path)
	}
	if len(want) > 0 {
		t.Errorf("the proof lacks %v", want)
	}
}

func TestPersonalisingTwiceGivesTheSame(t *testing.T) {
	dir, root := tree(t, golden)
	personaliseTree(t, root)
	first := read(t, dir, "etc/hosts")
	personaliseTree(t, root)
	if again := read(t, dir, "etc/hosts"); again != first {
		t.Errorf("hosts = %q; want %q", again, first)
	}
}

func TestAVarOfItsOwnMovesTheProgramToEtc(t *testing.T) {
	files := map[string]string{"etc/fstab": "# UUID=0 /var ext4\nUUID=1 / ext4 defaults 0 1\nUUID=2 /var ext4 defaults 0 2\n"}
	for k, v := range golden {
		if _, ok := files[k]; !ok {
			files[k] = v
		}
	}
	dir, root := tree(t, files)
	personaliseTree(t, root)
	if got := read(t, dir, "etc/systemd/system/ingot-firstboot.service"); !strings.Contains(got, "ExecStart=-/etc/ingot/ingot-agent firstboot call") {
		t.Errorf("the unit says %s", got)
	}
	read(t, dir, "etc/ingot/callhome.json")
}

// TestAHostileImageReachesNothingOutside puts links where Ingot writes and removes. Whether the image is refused or
// the link replaced, what it leads to stays as it was.
func TestAHostileImageReachesNothingOutside(t *testing.T) {
	cases := map[string]map[string]string{
		"hostname is a link outside":         {"etc/hostname": "->../../outside/victim"},
		"hosts is an absolute link":          {"etc/hosts": "->VICTIM"},
		"machine-id is a link outside":       {"etc/machine-id": "->../../outside/victim"},
		"the SSH folder is a link outside":   {"etc/ssh": "->../../outside"},
		"the whole of etc is a link":         {"etc": "->../outside"},
		"the units' folder is a link":        {"etc/systemd/system": "->../../../outside"},
		"the wants folder is a link":         {"etc/systemd/system/multi-user.target.wants": "->../../../../outside"},
		"the program's folder is a link":     {"var/lib/ingot": "->../../../outside"},
		"the NetworkManager folder is one":   {"etc/NetworkManager": "->OUTSIDE"},
		"a link to a link to the outside":    {"etc/hostname": "->a", "etc/a": "->../../outside/victim"},
		"the temp file is prepared":          {"etc/.ingot-new": "->../../outside/victim"},
		"the seed's folder is a link":        {"var/lib/cloud": "->../../../outside"},
		"the dbus folder is a link":          {"var/lib/dbus": "->../../../outside"},
		"a host key is a link":               {"etc/ssh/ssh_host_rsa_key": "->../../../outside/victim"},
		"the network's drop-in is a link":    {"etc/systemd/network/20-wired.network.d": "->../../../../outside"},
		"the enter-hooks' folder is a link":  {"etc/dhcp/dhclient-enter-hooks.d": "->../../../outside"},
		"the network folder leads to itself": {"etc/systemd/network": "->network"},
	}
	for name, hostile := range cases {
		t.Run(name, func(t *testing.T) {
			outside := ""
			files := map[string]string{}
			for k, v := range golden {
				files[k] = v
			}
			for k, v := range hostile {
				for f := range files {
					if f == k || strings.HasPrefix(f, k+"/") {
						delete(files, f)
					}
				}
				files[k] = v
			}
			base := t.TempDir()
			outside = filepath.Join(base, "outside")
			if err := os.Mkdir(outside, 0o755); err != nil {
				t.Fatal(err)
			}
			for _, f := range []string{"victim", "ssh_host_rsa_key", "machine-id", "os-release"} {
				if err := os.WriteFile(filepath.Join(outside, f), []byte("untouched"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			for k, v := range files {
				files[k] = strings.NewReplacer("VICTIM", filepath.Join(outside, "victim"), "OUTSIDE", outside).Replace(v)
			}
			dir, _ := tree(t, files)
			if err := os.Rename(dir, filepath.Join(base, "image")); err != nil {
				t.Fatal(err)
			}
			root, err := os.OpenRoot(filepath.Join(base, "image"))
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			changes, err := personalise.Plan(root, settings())
			if err == nil {
				err = personalise.Apply(root, changes)
			}
			if err != nil {
				if f := job.FaultOf(err); f.Code == job.CodeInternal || strings.Contains(f.Error(), outside) {
					t.Errorf("the refusal %v has no words of its own", f)
				}
			} else if _, err := personalise.ReadBack(root, changes); err != nil {
				t.Errorf("ReadBack = %v", err)
			}
			left, err := os.ReadDir(outside)
			if err != nil || len(left) != 4 {
				t.Errorf("outside there is now %v (%v)", left, err)
			}
			for _, e := range left {
				if got := read(t, outside, e.Name()); got != "untouched" {
					t.Errorf("%s outside now reads %q", e.Name(), got)
				}
			}
		})
	}
}

func TestAPipeInTheImageBlocksNothing(t *testing.T) {
	dir, root := tree(t, golden)
	for _, name := range []string{"etc/hosts", "etc/hostname", "etc/fstab"} {
		p := filepath.Join(dir, name)
		if err := os.Remove(p); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(p, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	personaliseTree(t, root)
	if got := read(t, dir, "etc/hosts"); !strings.Contains(got, "127.0.1.1\tLAP-0042\n") {
		t.Errorf("hosts = %q", got)
	}
}

func TestAnImageThatCannotBeNamedIsRefusedInWords(t *testing.T) {
	without := func(prefix string) map[string]string {
		files := map[string]string{}
		for k, v := range golden {
			if !strings.HasPrefix(k, prefix) && k != "etc/os-release" {
				files[k] = v
			}
		}
		return files
	}
	for name, files := range map[string]map[string]string{
		"no os-release": without("usr/lib/os-release"),
		"no systemd":    {"usr/lib/os-release": "ID=other\n"},
		"nothing":       {"x": ""},
	} {
		_, root := tree(t, files)
		if _, err := personalise.Plan(root, settings()); job.FaultOf(err).Code != job.CodeUnknownOS {
			t.Errorf("%s: Plan = %v; want %s", name, err, job.CodeUnknownOS)
		}
	}
	_, root := tree(t, golden)
	for _, bad := range []string{"", "-x", "x-", "a b", "a.b", "sixteencharacter", "a\nb", "../x"} {
		s := settings()
		s.Personal.DeviceName = bad
		if _, err := personalise.Plan(root, s); job.FaultOf(err).Code != job.CodeNameInvalid {
			t.Errorf("the name %q: Plan = %v; want %s", bad, err, job.CodeNameInvalid)
		}
	}
}

// TestReadBackSeesEveryDifference spoils one fact after another.
func TestReadBackSeesEveryDifference(t *testing.T) {
	spoil := map[string]func(dir string) error{
		"a byte of hostname": func(d string) error {
			return os.WriteFile(filepath.Join(d, "etc/hostname"), []byte("LAP-0043\n"), 0o644)
		},
		"a file that is cut": func(d string) error { return os.Truncate(filepath.Join(d, "var/lib/ingot/ingot-agent"), 3) },
		"a file that grew": func(d string) error {
			p := filepath.Join(d, "etc/machine-id") // read-only, as in the image
			return errors.Join(os.Chmod(p, 0o644), os.WriteFile(p, []byte("x"), 0o644), os.Chmod(p, 0o444))
		},
		"a removed key that is back": func(d string) error { return os.WriteFile(filepath.Join(d, "etc/ssh/ssh_host_rsa_key"), nil, 0o600) },
		"a secret all may read":      func(d string) error { return os.Chmod(filepath.Join(d, "var/lib/ingot/callhome.json"), 0o644) },
		"a file that is missing":     func(d string) error { return os.Remove(filepath.Join(d, "etc/hosts")) },
		"a link that leads elsewhere": func(d string) error {
			p := filepath.Join(d, "etc/systemd/system/multi-user.target.wants/ingot-keys.service")
			return errors.Join(os.Remove(p), os.Symlink("../other", p))
		},
	}
	for name, fn := range spoil {
		dir, root := tree(t, golden)
		changes, err := personalise.Plan(root, settings())
		if err != nil {
			t.Fatal(err)
		}
		if err := personalise.Apply(root, changes); err != nil {
			t.Fatal(err)
		}
		if err := fn(dir); err != nil {
			t.Fatal(err)
		}
		if proof, err := personalise.ReadBack(root, changes); err == nil || len(proof.Files) > 0 || job.FaultOf(err).Code != job.CodePersonalise {
			t.Errorf("%s: ReadBack = %v, %v; want an error", name, proof, err)
		}
	}
}

func TestHostsKeepsWhatIsNotTheName(t *testing.T) {
	cases := map[string][3]string{ // text, old name, want
		"a Debian file":          {"127.0.0.1 localhost\n127.0.1.1 old\n", "old", "127.0.0.1 localhost\n127.0.1.1\tnew\n"},
		"no line for the name":   {"127.0.0.1 localhost\n::1 localhost\n", "old", "127.0.0.1 localhost\n127.0.1.1\tnew\n::1 localhost\n"},
		"another name there":     {"127.0.1.1 stale\n", "old", "127.0.1.1\tnew\n"},
		"two lines there":        {"127.0.1.1 old\n127.0.1.1 older\n", "old", "127.0.1.1\tnew\n"},
		"the old name elsewhere": {"127.0.0.1 localhost OLD # me\n127.0.1.1 old.a.b old\n", "old", "127.0.0.1\tlocalhost new # me\n127.0.1.1\tnew.a.b new\n"},
		"an old name within one": {"10.0.0.1 oldest old-files\n127.0.1.1 old\n", "old", "10.0.0.1 oldest old-files\n127.0.1.1\tnew\n"},
		"localhost was the name": {"127.0.0.1 localhost\n", "localhost", "127.0.0.1 localhost\n127.0.1.1\tnew\n"},
		"an empty file":          {"", "", "127.0.0.1\tlocalhost\n127.0.1.1\tnew\n::1\tlocalhost ip6-localhost ip6-loopback\n"},
		"no newline at the end":  {"127.0.1.1 old", "old", "127.0.1.1\tnew\n"},
	}
	for name, c := range cases {
		if got := personalise.Hosts(c[0], c[1], "new"); got != c[2] {
			t.Errorf("%s: Hosts = %q; want %q", name, got, c[2])
		}
	}
}

func FuzzHosts(f *testing.F) {
	f.Add("127.0.0.1 localhost\n127.0.1.1 old # x\n", "old")
	f.Fuzz(func(t *testing.T, text, old string) {
		got := personalise.Hosts(text, old, "new")
		found := false
		for l := range strings.Lines(got) {
			w := strings.Fields(l)
			found = found || len(w) > 1 && w[0] == "127.0.1.1"
		}
		if !found {
			t.Errorf("Hosts(%q, %q) = %q names nothing", text, old, got)
		}
	})
}
