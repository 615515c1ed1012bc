package personalise

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"ingot/imaging/job"
)

// Bounds of what is read from an image.
const (
	maxConfig  = 1 << 20 // bytes of one settings file
	maxEntries = 4096    // names looked at in one folder
)

// Settings are what one Device receives.
type Settings struct {
	Personal job.Personal
	Agent    []byte // the agent's own binary, which becomes the first-boot program
}

func isName(s string) bool {
	return job.Consists(s, 1, 15, job.Letters+job.Digits+"-") && strings.Trim(s, "-") == s
}

// Plan decides what must change in the image below root. It reads only. An image that is no Linux with systemd
// is a *job.Fault with CodeUnknownOS.
func Plan(root *os.Root, s Settings) ([]Change, error) {
	if !isName(s.Personal.DeviceName) {
		return nil, job.Faultf(job.CodeNameInvalid, "It is %q.", s.Personal.DeviceName)
	}
	p := planner{root: root, s: s}
	if !p.isFile("etc/os-release") && !p.isFile("usr/lib/os-release") {
		return nil, job.Faultf(job.CodeUnknownOS, "There is no os-release on its root partition.")
	}
	if !p.isDir("usr/lib/systemd/system") && !p.isDir("lib/systemd/system") {
		return nil, job.Faultf(job.CodeUnknownOS, "It does not start with systemd.")
	}
	for _, step := range []func() error{p.name, p.identity, p.cloudInit, p.network, p.firstBoot} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("%w: plan the laptop's own settings: %w", job.Faultf(job.CodePersonalise, "The image could not be read."), err)
		}
	}
	if p.odd != nil {
		return nil, fmt.Errorf("%w: plan the laptop's own settings: %w", job.Faultf(job.CodePersonalise, "A folder of the image leads out of it."), p.odd)
	}
	return p.changes, nil
}

// PlanRename decides what must change in a system that runs under another name already: the name where it is kept, and
// the letter that makes its next start report it. Everything that makes the system an individual stays. former is the
// name that Ingot gave it; it may have been changed by hand since. The host name comes behind whatever repeats it, and
// the letter last: a rename that is cut off leaves a system that starts under one of the two names, and reports only
// the new one.
func PlanRename(root *os.Root, s Settings, former string) ([]Change, error) {
	if !isName(s.Personal.DeviceName) {
		return nil, job.Faultf(job.CodeNameInvalid, "It is %q.", s.Personal.DeviceName)
	}
	p := planner{root: root, s: s, former: former}
	for _, step := range []func() error{p.cloudInit, p.network, p.rename, p.letter} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("%w: plan another name: %w", job.Faultf(job.CodePersonalise, "The system could not be read."), err)
		}
	}
	if p.odd != nil {
		return nil, fmt.Errorf("%w: plan another name: %w", job.Faultf(job.CodePersonalise, "A folder of the system leads out of it."), p.odd)
	}
	return p.changes, nil
}

type planner struct {
	root    *os.Root
	s       Settings
	former  string // of a rename
	changes []Change
	odd     error // a folder that is there and cannot be looked into: what it holds would be missed
}

func (p *planner) write(name, text string) {
	p.changes = append(p.changes, Change{Path: name, Data: []byte(text), Mode: 0o644})
}

func (p *planner) remove(name string) {
	p.changes = append(p.changes, Change{Path: name, Remove: true})
}

// isDir reports whether a folder is there. A link that leads out of the image is neither yes nor no: it is
// remembered and ends the plan.
func (p *planner) isDir(name string) bool {
	fi, err := p.root.Stat(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) && p.odd == nil {
		p.odd = err
	}
	return err == nil && fi.IsDir()
}

func (p *planner) isFile(name string) bool {
	fi, err := p.root.Stat(name)
	return err == nil && fi.Mode().IsRegular()
}

// text reads a settings file; one that is absent, leads out of the image or is no plain file reads as empty.
func (p *planner) text(name string) (string, error) {
	b, err := readFile(p.root, name, maxConfig)
	if err != nil && p.isFile(name) {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	return string(b), nil
}

// names lists a folder's entries that match, in order; an absent folder has none.
func (p *planner) names(dir string, match func(string) bool) ([]string, error) {
	if !p.isDir(dir) {
		return nil, nil
	}
	d, err := p.root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	all, err := d.Readdirnames(maxEntries)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	if len(all) == maxEntries {
		return nil, fmt.Errorf("list %s: more than %d entries", dir, maxEntries)
	}
	all = slices.DeleteFunc(all, func(n string) bool { return !match(n) })
	slices.Sort(all)
	return all, nil
}

// name writes the Name where the system reads it.
func (p *planner) name() error {
	old, err := p.text("etc/hostname")
	if err != nil {
		return err
	}
	hosts, err := p.text("etc/hosts")
	if err != nil {
		return err
	}
	p.write("etc/hostname", p.s.Personal.DeviceName+"\n")
	p.write("etc/hosts", Hosts(hosts, strings.TrimSpace(old), p.s.Personal.DeviceName))
	return nil
}

// rename is name for a system that was named before: what names it after its former name goes, too.
func (p *planner) rename() error {
	old, err := p.text("etc/hostname")
	if err != nil {
		return err
	}
	hosts, err := p.text("etc/hosts")
	if err != nil {
		return err
	}
	name := p.s.Personal.DeviceName
	p.write("etc/hosts", Hosts(Hosts(hosts, strings.TrimSpace(old), name), p.former, name))
	p.write("etc/hostname", name+"\n")
	return nil
}

// identity takes away what the golden machine alone should be known by. The machine-id is left as an empty file:
// an absent one would make systemd treat the start as a first boot and reset which units are enabled.
func (p *planner) identity() error {
	p.changes = append(p.changes, Change{Path: "etc/machine-id", Mode: 0o444})
	for _, name := range []string{"var/lib/dbus/machine-id", "var/lib/systemd/random-seed"} {
		if !p.isDir(path.Dir(name)) {
			continue
		}
		fi, err := p.root.Lstat(name)
		if err == nil && fi.Mode().IsRegular() { // usually a link to /etc/machine-id, which stays
			p.remove(name)
		}
	}
	keys, err := p.names("etc/ssh", func(n string) bool {
		return strings.HasPrefix(n, "ssh_host_") && (strings.HasSuffix(n, "_key") || strings.HasSuffix(n, "_key.pub"))
	})
	for _, k := range keys {
		p.remove("etc/ssh/" + k)
	}
	return err
}

// cloudInit gives cloud-init a new instance with the same name and forbids it to change names. Its user data is
// the image's own where it has any.
func (p *planner) cloudInit() error {
	if !p.isDir("etc/cloud") {
		return nil
	}
	id := p.s.Personal.InstanceID
	if !job.Consists(id, 1, 64, job.Letters+job.Digits+"-") {
		return errors.New("the instance id is not 1 to 64 letters, digits and hyphens")
	}
	p.write("etc/cloud/cloud.cfg.d/99-ingot.cfg", "# Written by Ingot: the name that was assigned stays.\npreserve_hostname: true\nmanage_etc_hosts: false\ndatasource_list: [ NoCloud, None ]\n")
	const seed = "var/lib/cloud/seed/nocloud/"
	p.write(seed+"meta-data", "instance-id: "+id+"\nlocal-hostname: "+p.s.Personal.DeviceName+"\n")
	if !p.isFile(seed + "user-data") {
		p.write(seed+"user-data", "#cloud-config\n{}\n")
	}
	return nil
}

// network tells what manages the links that a name offered by DHCP is not taken.
func (p *planner) network() error {
	if p.isDir("etc/NetworkManager") {
		p.write("etc/NetworkManager/conf.d/90-ingot.conf", "# Written by Ingot: the name that was assigned stays.\n[main]\nhostname-mode=none\n")
	}
	if p.isDir("etc/dhcp/dhclient-enter-hooks.d") {
		p.write("etc/dhcp/dhclient-enter-hooks.d/ingot", "# Written by Ingot: the name that was assigned stays.\nunset new_host_name\n")
	}
	networks, err := p.names("etc/systemd/network", func(n string) bool { return strings.HasSuffix(n, ".network") })
	for _, n := range networks {
		p.write(path.Join("etc/systemd/network", n+".d", "90-ingot.conf"), "# Written by Ingot: the name that was assigned stays.\n[DHCPv4]\nUseHostname=no\n\n[DHCPv6]\nUseHostname=no\n")
	}
	return err
}

// separate reports whether fstab mounts something of its own over a path of the image, so that what is written
// below it on the root partition would be hidden.
func (p *planner) separate(mount string) (bool, error) {
	tab, err := p.text("etc/fstab")
	for l := range strings.Lines(tab) {
		if f := strings.Fields(l); len(f) > 1 && f[0][0] != '#' && (f[1] == mount || strings.HasPrefix(mount, f[1]+"/")) {
			return true, err
		}
	}
	return false, err
}

// mode bits of what the first boot leaves behind for a while.
const (
	programMode fs.FileMode = 0o755
	secretMode  fs.FileMode = 0o600
)
