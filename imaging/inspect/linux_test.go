package inspect_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/imaging"
	"ingot/imaging/inspect"
)

// clean is a Debian that was generalised.
var clean = map[string]string{
	"usr/lib/os-release": "ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\n", "etc/os-release": "-> ../usr/lib/os-release",
	"etc/debian_version": "12.9\n", "etc/machine-id": "", "var/lib/dbus/machine-id": "-> /etc/machine-id", "etc/fstab": "UUID=x / ext4 defaults 0 1\n",
	"usr/lib/modules/6.1.0-9-amd64/modules.dep": "", "usr/lib/modules/6.1.0-31-amd64/modules.dep": "", "lib": "-> usr/lib",
	"var/lib/dpkg/status": "Package: openssl\nStatus: install ok installed\nArchitecture: amd64\nVersion: 3.0.15-1~deb12u1\nDescription: tool\n more text\n .\n\n" +
		"Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n\nPackage: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.21.22\n",
	"var/lib/dpkg/info/openssl.list": "/.\n", "var/lib/dpkg/info/dpkg.list": "/.\n",
}

func with(texts map[string]string) map[string]string {
	all := maps.Clone(clean)
	maps.Copy(all, texts)
	return all
}

func TestAGeneralisedDebianHasAGreenChecklist(t *testing.T) {
	dir := files(t, clean)
	day := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for name, at := range map[string]time.Time{"openssl.list": day, "dpkg.list": day.Add(-time.Hour * 900)} {
		if err := os.Chtimes(filepath.Join(dir, "var/lib/dpkg/info", name), at, at); err != nil {
			t.Fatal(err)
		}
	}
	r := look(t, ext4(t, dir))
	for _, f := range r.Findings {
		if f.Severity != inspect.Green || f.Next != "" || f.Fact == "" {
			t.Errorf("%+v; want it green", f)
		}
	}
	want := inspect.System{Family: "linux", ID: "debian", Name: "Debian GNU/Linux 12 (bookworm)", Version: "12", Build: "12.9", Arch: "amd64", Kernel: "6.1.0-31-amd64"}
	if r.System != want {
		t.Errorf("system %+v; want %+v", r.System, want)
	}
	if !r.Patched.Equal(day) {
		t.Errorf("patched %v; want the newest list's day, %v", r.Patched, day)
	}
	if got := fmt.Sprint(r.Packages); got != "[{dpkg 1.21.22 amd64 deb } {openssl 3.0.15-1~deb12u1 amd64 deb }]" {
		t.Errorf("packages %s", got)
	}
}

func TestADateInTheFutureIsNoPatchLevel(t *testing.T) {
	dir := files(t, clean)
	for _, name := range []string{"openssl.list", "dpkg.list"} {
		at := time.Now().Add(72 * time.Hour)
		if err := os.Chtimes(filepath.Join(dir, "var/lib/dpkg/info", name), at, at); err != nil {
			t.Fatal(err)
		}
	}
	if r := look(t, ext4(t, dir)); !r.Patched.IsZero() {
		t.Errorf("patched %v; want unknown", r.Patched)
	}
}

func TestWhatMustNotGoOntoASecondLaptopIsFound(t *testing.T) {
	cases := map[string]struct {
		files map[string]string
		check string
		want  inspect.Severity
		words string
	}{
		"a machine-id":                  {map[string]string{"etc/machine-id": "0123456789abcdef0123456789abcdef\n"}, "linux-machine-id", inspect.Red, "truncate"},
		"a machine-id to be made":       {map[string]string{"etc/machine-id": "uninitialized\n"}, "linux-machine-id", inspect.Green, ""},
		"a machine-id that D-Bus keeps": {map[string]string{"var/lib/dbus/machine-id": "0123\n"}, "linux-machine-id", inspect.Red, "D-Bus"},
		"SSH host keys":                 {map[string]string{"etc/ssh/ssh_host_rsa_key": "x", "etc/ssh/ssh_host_ed25519_key": "x"}, "linux-ssh-host-keys", inspect.Red, "2 SSH host keys"},
		"cloud-init that has run":       {map[string]string{"var/lib/cloud/instances/i-1/user-data.txt": "x"}, "linux-cloud-init", inspect.Red, "cloud-init clean"},
		"cloud-init that may rename":    {map[string]string{"usr/bin/cloud-init": "x", "etc/cloud/cloud.cfg": "preserve_hostname: false\n"}, "linux-cloud-init", inspect.Yellow, "another name"},
		"cloud-init told what to ask":   {map[string]string{"usr/bin/cloud-init": "x", "etc/cloud/cloud.cfg.d/9.cfg": "datasource_list: [ NoCloud, None ]\n"}, "linux-cloud-init", inspect.Green, ""},
		"cloud-init switched off":       {map[string]string{"usr/bin/cloud-init": "x", "etc/cloud/cloud-init.disabled": ""}, "linux-cloud-init", inspect.Green, ""},
		"a persistent net rule":         {map[string]string{"etc/udev/rules.d/70-persistent-net.rules": "SUBSYSTEM==\"net\", ATTR{address}==\"52:54:00:12:34:56\"\n"}, "linux-network-cards", inspect.Yellow, "70-persistent-net"},
		"a rule file of comments":       {map[string]string{"etc/udev/rules.d/70-persistent-net.rules": "# nothing\n"}, "linux-network-cards", inspect.Green, ""},
		"a connection of one adapter":   {map[string]string{"etc/NetworkManager/system-connections/a.nmconnection": "[ethernet]\nmac-address=52:54:00:12:34:56\n"}, "linux-network-cards", inspect.Yellow, "a.nmconnection"},
		"an ifcfg of one adapter":       {map[string]string{"etc/sysconfig/network-scripts/ifcfg-eth0": "HWADDR=52:54:00:12:34:56\n"}, "linux-network-cards", inspect.Yellow, "ifcfg-eth0"},
		"a netplan of one adapter":      {map[string]string{"etc/netplan/50-cloud-init.yaml": "network:\n  ethernets:\n    e:\n      match:\n        macaddress: 52:54:00:12:34:56\n"}, "linux-network-cards", inspect.Yellow, "netplan"},
		"a keytab":                      {map[string]string{"etc/krb5.keytab": "x"}, "linux-keytabs", inspect.Red, "realm leave"},
		"Samba's secrets":               {map[string]string{"var/lib/samba/private/secrets.tdb": "x"}, "linux-keytabs", inspect.Red, "secrets.tdb"},
		"a WireGuard key":               {map[string]string{"etc/wireguard/wg0.conf": "PrivateKey=x"}, "linux-machine-secrets", inspect.Red, "wg0"},
		"a subscription":                {map[string]string{"etc/pki/consumer/cert.pem": "x"}, "linux-subscription", inspect.Red, "Detach"},
		"a Salt minion":                 {map[string]string{"etc/salt/minion_id": "golden"}, "linux-agents", inspect.Red, "Salt"},
		"Puppet":                        {map[string]string{"etc/puppetlabs/puppet/ssl/private_keys/golden.pem": "x"}, "linux-agents", inspect.Red, "Puppet"},
		"Wazuh":                         {map[string]string{"var/ossec/etc/client.keys": "001 x"}, "linux-agents", inspect.Red, "Wazuh"},
		"Wazuh that never enrolled":     {map[string]string{"var/ossec/etc/client.keys": ""}, "linux-agents", inspect.Green, ""},
		"Tailscale":                     {map[string]string{"var/lib/tailscale/tailscaled.state": "{}"}, "linux-agents", inspect.Red, "Tailscale"},
		"an agent that does not tell":   {map[string]string{"opt/sentinelone/bin/sentinelctl": "x"}, "linux-agents", inspect.Yellow, "SentinelOne"},
		"a history":                     {map[string]string{"home/anna/.bash_history": "ls"}, "linux-histories", inspect.Yellow, "/home/anna/.bash_history"},
		"root's history":                {map[string]string{"root/.bash_history": "ls"}, "linux-histories", inspect.Yellow, "/root"},
		"authorized keys":               {map[string]string{"root/.ssh/authorized_keys": "ssh-rsa x"}, "linux-authorized-keys", inspect.Yellow, "log in"},
		"a private key":                 {map[string]string{"home/anna/.ssh/id_ed25519": "x", "home/anna/.ssh/id_ed25519.pub": "x"}, "linux-private-keys", inspect.Red, "id_ed25519. "},
		"only the public half":          {map[string]string{"home/anna/.ssh/id_ed25519.pub": "x"}, "linux-private-keys", inspect.Green, ""},
		"credentials of a cloud":        {map[string]string{"root/.aws/credentials": "x"}, "linux-credentials", inspect.Red, ".aws"},
		"saved Wi-Fi":                   {map[string]string{"etc/NetworkManager/system-connections/w.nmconnection": "[connection]\ntype=wifi\n"}, "linux-wifi", inspect.Yellow, "w.nmconnection"},
		"a random seed":                 {map[string]string{"var/lib/systemd/random-seed": "x"}, "linux-random-seed", inspect.Yellow, "random-seed"},
		"a lease":                       {map[string]string{"var/lib/dhcp/dhclient.eth0.leases": "x"}, "linux-dhcp-leases", inspect.Yellow, "dhclient"},
		"a journal":                     {map[string]string{"var/log/journal/0123/system.journal": "x"}, "linux-logs", inspect.Yellow, "journalctl"},
		"an iSCSI name":                 {map[string]string{"etc/iscsi/initiatorname.iscsi": "InitiatorName=iqn.x\n"}, "linux-iscsi", inspect.Yellow, "GenerateName"},
		"many files of one kind":        {manyKeys(300), "linux-private-keys", inspect.Red, "and 197 more"},
		"a name that steers a terminal": {map[string]string{"root/.\x1b[31m_history": "x"}, "linux-histories", inspect.Yellow, "?[31m"},
		"a file where a folder belongs": {map[string]string{"home": "not a folder"}, "linux-histories", inspect.Green, ""},
		"a machine-id that is a folder": {map[string]string{"etc/machine-id/x": "y"}, "look-inside", inspect.Yellow, "/etc/machine-id: not a regular file"},
		"a machine-id beyond measure":   {map[string]string{"etc/machine-id": strings.Repeat("x", 300<<10)}, "look-inside", inspect.Yellow, "too large"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			texts := with(c.files)
			if _, ok := c.files["etc/machine-id/x"]; ok {
				delete(texts, "etc/machine-id")
			}
			r := look(t, ext4(t, files(t, texts)))
			got, words := worst(r, c.check)
			if got != c.want || !strings.Contains(words, c.words) {
				t.Errorf("%s = %s: %s; want %s with %q", c.check, got, words, c.want, c.words)
			}
			for _, f := range r.Findings {
				if strings.ContainsAny(f.Fact, "\x1b\n") || f.Severity != inspect.Green && f.Next == "" {
					t.Errorf("finding %+q", f)
				}
			}
		})
	}
}

func manyKeys(n int) map[string]string {
	out := map[string]string{}
	for i := range n {
		out[fmt.Sprintf("root/.ssh/id_%d", i)] = "x"
	}
	return out
}

// TestWhatIngotMakesNewIsNotRed: a Linux that gets a name gets its own machine-id and host keys at every deploy.
func TestWhatIngotMakesNewIsNotRed(t *testing.T) {
	d := ext4(t, files(t, with(map[string]string{"etc/machine-id": "0123456789abcdef0123456789abcdef\n", "etc/ssh/ssh_host_rsa_key": "x", "var/lib/cloud/instances/i/x": "x", "var/lib/systemd/random-seed": "x"})))
	d.h.OS.Personalise = "linux"
	r := look(t, d)
	for check, want := range map[string]inspect.Severity{"linux-machine-id": inspect.Yellow, "linux-ssh-host-keys": inspect.Yellow, "linux-cloud-init": inspect.Yellow, "linux-random-seed": inspect.Green} {
		if got, words := worst(r, check); got != want || !strings.Contains(words, "every deploy") {
			t.Errorf("%s = %s: %s; want %s", check, got, words, want)
		}
	}
}

func TestASiteSaysWhatItWants(t *testing.T) {
	r := look(t, ext4(t, files(t, clean)), inspect.Need{Name: "OpenSSL", Version: "3.0"}, inspect.Need{Name: "open*"}, inspect.Need{Name: "dpkg", Version: "1.22"}, inspect.Need{Name: "falcon-sensor"})
	var got []string
	for _, f := range of(r, "must-have") {
		got = append(got, string(f.Severity)+" "+f.Fact)
	}
	want := "green OpenSSL 3.0.15-1~deb12u1 is there, as this site wants.|green open* 3.0.15-1~deb12u1 is there, as this site wants.|" +
		"red dpkg is there in version 1.21.22; this site wants 1.22 or newer.|red falcon-sensor is missing, and this site wants it in its images."
	if strings.Join(got, "|") != want {
		t.Errorf("findings %q; want %q", got, want)
	}
}

func TestADiskThatNobodyCanLookIntoIsYellow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "noise")
	if err := os.WriteFile(path, make([]byte, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	r := look(t, openFile(t, path))
	if s, _ := worst(r, "system"); s != inspect.Yellow || len(r.Packages) != 0 {
		t.Errorf("findings %+v; want one that says so", r.Findings)
	}
}

// TestVarOnAPartitionOfItsOwnIsLookedAt puts /var behind the root, as fstab says.
func TestVarOnAPartitionOfItsOwnIsLookedAt(t *testing.T) {
	root, varTree := map[string]string{}, map[string]string{}
	for name, text := range clean {
		if in, ok := strings.CutPrefix(name, "var/"); ok {
			varTree[in] = text
		} else {
			root[name] = text
		}
	}
	varTree["lib/samba/private/secrets.tdb"] = "x"
	path := filepath.Join(t.TempDir(), "disk")
	one, two := filepath.Join(t.TempDir(), "one"), filepath.Join(t.TempDir(), "two")
	const uuid = "6b1d0c1e-52d1-4c07-9d0a-1b0c5a7e0009"
	root["etc/fstab"] = "LABEL=root / ext4 defaults 0 1\nUUID=" + strings.ToUpper(uuid) + " /var/ ext4 defaults 0 2\n"
	tool(t, "e2fsprogs", "mkfs.ext4", "-q", "-F", "-L", "root", "-d", files(t, root), one, "24M")
	tool(t, "e2fsprogs", "mkfs.ext4", "-q", "-F", "-U", uuid, "-d", files(t, varTree), two, "24M")
	tool(t, "coreutils", "dd", "if="+one, "of="+path, "bs=1M", "status=none")
	tool(t, "coreutils", "dd", "if="+two, "of="+path, "bs=1M", "seek=24", "status=none")
	d := openFile(t, path)
	d.h.Table, d.h.RootPartition = "mbr", 1
	const mib = 1 << 20 / 512
	d.h.Partitions = []imaging.Partition{{Number: 1, FirstLBA: 0, LastLBA: 24*mib - 1}, {Number: 2, FirstLBA: 24 * mib, LastLBA: 48*mib - 1}}
	r := look(t, d)
	if s, words := worst(r, "linux-keytabs"); s != inspect.Red || len(r.Packages) != 2 {
		t.Errorf("%s %s, %d packages; want those of /var", s, words, len(r.Packages))
	}
}

// endless counts what is read of it.
type endless struct {
	file
	read *int64
}

func (e endless) ReadAt(b []byte, off int64) (int, error) {
	*e.read += int64(len(b))
	return e.file.ReadAt(b, off)
}

// TestALookReadsOnlySoMuch: a home of many people in folders of many names is asked for each trace again and again.
func TestALookReadsOnlySoMuch(t *testing.T) {
	texts := with(nil)
	for i := range 250 {
		texts[fmt.Sprintf("home/user%03d/x", i)] = "x"
	}
	d := ext4(t, files(t, texts))
	var read int64
	r := look(t, endless{d, &read})
	if s, words := worst(r, "linux-homes"); s != inspect.Yellow || !strings.Contains(words, "and 197 more") {
		t.Errorf("%s %s; want what one pattern may name", s, words)
	}
	if read > 400<<20 {
		t.Errorf("%d bytes were read", read)
	}
}

func TestVersionsAreOrdered(t *testing.T) {
	order := []string{"1~rc1", "1", "1.9", "1.10", "2", "10", "1:0.1", "2:0"}
	for i, a := range order {
		for j, b := range order {
			got := inspect.Compare(a, b)
			if got < 0 != (i < j) || got > 0 != (i > j) {
				t.Errorf("Compare(%q, %q) = %d", a, b, got)
			}
		}
	}
	for _, p := range [][2]string{{"3.0.15-1~deb12u1", "3.0.16-1~deb12u1"}, {"26100.4061", "26100.4202"}, {"128.0.3", "128.10"}, {"1.0~beta", "1.0"}, {"1.0", "1.0+dfsg"}} {
		if inspect.Compare(p[0], p[1]) >= 0 {
			t.Errorf("%s is not older than %s", p[0], p[1])
		}
	}
}

func FuzzStatus(f *testing.F) {
	f.Add(clean["var/lib/dpkg/status"])
	f.Add("Package:\nStatus: x installed\n\n\n:\n")
	f.Fuzz(func(t *testing.T, s string) {
		n := 0
		if err := inspect.ParseStatus(strings.NewReader(s), func(inspect.Package) { n++ }); err != nil || n > len(s) {
			t.Errorf("%d packages, %v", n, err)
		}
	})
}
