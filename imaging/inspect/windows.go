package inspect

import (
	"fmt"
	"path"
	"strings"

	"ingot/imaging/fs"
	"ingot/imaging/inspect/hive"
)

const (
	configFolder  = "/Windows/System32/config/"
	currentNT     = `Microsoft\Windows NT\CurrentVersion`
	current       = `Microsoft\Windows\CurrentVersion`
	stateDone     = 112   // CurrentState of a package of Windows that is installed
	firstEleven   = 22000 // the first build of Windows 11, which still calls itself 10
	filetimeEpoch = 11644473600
)

// windows finds the volume with a Windows, nil when there is none, and takes it as the root.
func (t *tree) windows() *volume {
	for _, v := range t.volumes {
		if v.kind != fs.NTFS {
			continue
		}
		if s, err := v.v.Stat(configFolder + "SOFTWARE"); err == nil && s.Mode == fs.Regular {
			t.root = v
			return v
		}
	}
	return nil
}

// registry is the hives of one Windows; one that cannot be read is nil.
type registry struct {
	l                          *look
	software, system, security *hive.Key
	control                    *hive.Key // the control set in use
	dirty                      []string
}

// windows looks into a Windows.
func (l *look) windows(*volume) {
	r := &registry{l: l}
	r.software, r.system, r.security = r.open("SOFTWARE"), r.open("SYSTEM"), r.open("SECURITY")
	n := r.number(r.system, "Select", "Current")
	r.control = r.key(r.system, fmt.Sprintf("ControlSet%03d", max(n, 1)))
	l.System.Family, l.System.ID = "windows", "windows"
	for _, check := range []func(){r.facts, r.patched, r.programs, r.apps, r.hives, r.setupState, r.domain, r.enrolled, l.answerFiles, r.answerPointer, r.users, l.windowsTraces} {
		if l.ctx.Err() == nil {
			check()
		}
	}
}

func (r *registry) open(name string) *hive.Key {
	f := r.l.tree.open(configFolder + name)
	if f == nil {
		return nil
	}
	h, err := hive.Open(f, f.Stat().Size)
	if err != nil {
		r.l.tree.fail(configFolder+name, err)
		return nil
	}
	if h.Dirty() {
		r.dirty = append(r.dirty, name)
	}
	k, err := h.Root()
	r.l.tree.fail(configFolder+name, err)
	return k
}

// key finds a key, nil when it is not there.
func (r *registry) key(k *hive.Key, path string) *hive.Key {
	if k == nil {
		return nil
	}
	found, err := k.Key(path)
	if err != nil && !hive.IsNotExist(err) {
		r.l.tree.fail("registry", err)
	}
	if err != nil {
		return nil
	}
	return found
}

// text reads a text below a key, by the path of the key that holds it ("" is k itself).
func (r *registry) text(k *hive.Key, path, name string) string {
	if path != "" {
		k = r.key(k, path)
	}
	if k == nil {
		return ""
	}
	s, err := k.Text(name)
	r.l.tree.fail("registry", err)
	return clean(s)
}

func (r *registry) number(k *hive.Key, path, name string) uint64 {
	if path != "" {
		k = r.key(k, path)
	}
	if k == nil {
		return 0
	}
	n, err := k.Number(name)
	r.l.tree.fail("registry", err)
	return n
}

// each calls fn with every subkey.
func (r *registry) each(k *hive.Key, path string, fn func(*hive.Key)) {
	if k = r.key(k, path); k == nil {
		return
	}
	r.l.tree.fail("registry "+path, k.Each(func(s *hive.Key) bool { fn(s); return r.l.ctx.Err() == nil }))
}

func (r *registry) facts() {
	nt := r.key(r.software, currentNT)
	s := &r.l.System
	s.Name, s.Edition, s.Version = r.text(nt, "", "ProductName"), r.text(nt, "", "EditionID"), r.text(nt, "", "DisplayVersion")
	if s.Version == "" {
		s.Version = r.text(nt, "", "ReleaseId")
	}
	build := r.text(nt, "", "CurrentBuild")
	if n := 0; build != "" {
		if _, err := fmt.Sscan(build, &n); err == nil && n >= firstEleven {
			s.Name = strings.Replace(s.Name, "Windows 10", "Windows 11", 1)
		}
		s.Build = fmt.Sprintf("%s.%d", build, r.number(nt, "", "UBR"))
	}
	if s.Name == "" {
		s.Name = "Windows"
	}
	s.Arch = strings.ToLower(r.text(r.control, `Control\Session Manager\Environment`, "PROCESSOR_ARCHITECTURE"))
}

// patched takes the day on which the newest cumulative update was installed.
func (r *registry) patched() {
	r.each(r.software, current+`\Component Based Servicing\Packages`, func(k *hive.Key) {
		if !strings.HasPrefix(strings.ToLower(k.Name), "package_for_rollupfix") || r.number(k, "", "CurrentState") != stateDone {
			return
		}
		t := r.number(k, "", "InstallTimeHigh")<<32 | r.number(k, "", "InstallTimeLow")
		r.l.patchedAt(int64(t/10_000_000) - filetimeEpoch)
	})
}

// programs reads the Uninstall keys in both views. Updates of a program are no programs.
func (r *registry) programs() {
	for _, view := range []struct{ path, arch string }{{current, r.l.System.Arch}, {`WOW6432Node\` + current, "x86"}} {
		r.each(r.software, view.path+`\Uninstall`, func(k *hive.Key) {
			name := r.text(k, "", "DisplayName")
			if name == "" || r.text(k, "", "ParentKeyName") != "" {
				return
			}
			r.l.add(Package{Name: name, Version: r.text(k, "", "DisplayVersion"), Arch: view.arch, Kind: "windows", Vendor: r.text(k, "", "Publisher")})
		})
	}
}

// apps reads the packages of the Store that are there for all users: NAME_VERSION_ARCH_RESOURCE_PUBLISHER.
func (r *registry) apps() {
	r.each(r.software, current+`\Appx\AppxAllUserStore\Applications`, func(k *hive.Key) {
		f := strings.Split(k.Name, "_")
		if len(f) == 5 && f[0] != "" {
			r.l.add(Package{Name: f[0], Version: f[1], Arch: f[2], Kind: "appx"})
		}
	})
}

func (r *registry) hives() {
	if len(r.dirty) == 0 {
		r.l.find("windows-hives", Green, "The registry was written back in full.", "")
		return
	}
	r.l.find("windows-hives", Yellow, "Windows had not written back its registry ("+strings.Join(r.dirty, ", ")+") when it stopped; its logs are not read, so that the checklist may be older than the disk.",
		"Start the reference machine and shut it down with \"shutdown /s /t 0\", then make the image again.")
}

// setupStates says what each state of setup means (Microsoft, "Windows Setup states").
var setupStates = map[string]struct {
	severity Severity
	fact     string
}{
	"IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE":  {Green, "Windows was generalised and asks its questions at the first start."},
	"IMAGE_STATE_GENERALIZE_RESEAL_TO_AUDIT": {Yellow, "Windows was generalised and will start in audit mode."},
	"IMAGE_STATE_SPECIALIZE_RESEAL_TO_OOBE":  {Red, "Windows was set up for this one machine and not generalised."},
	"IMAGE_STATE_SPECIALIZE_RESEAL_TO_AUDIT": {Red, "Windows was set up for this one machine and not generalised."},
	"IMAGE_STATE_COMPLETE":                   {Red, "Windows is set up for this one machine and was not generalised: every laptop would have the same identity."},
	"IMAGE_STATE_UNDEPLOYABLE":               {Red, "Windows was stopped in the middle of its setup: it cannot be deployed."},
}

// setupState believes the worse of the file and the registry, which must agree.
func (r *registry) setupState() {
	const check, next = "windows-setup-state", "Run \"sysprep /generalize /oobe /shutdown\" on the reference machine and make the image again without starting it."
	file := ParseINI(r.l.tree.read("/Windows/Setup/State/State.ini"))["imagestate"]
	key := r.text(r.software, current+`\Setup\State`, "ImageState")
	worst := Finding{}
	for _, state := range []string{file, key} {
		if state == "" {
			continue
		}
		s, ok := setupStates[strings.ToUpper(state)]
		if !ok {
			s.severity, s.fact = Yellow, "Windows setup is in the unknown state "+clean(state)+"."
		}
		if worst.Severity == "" || s.severity == Red || s.severity == Yellow && worst.Severity == Green {
			worst = Finding{Severity: s.severity, Fact: s.fact}
		}
	}
	if worst.Severity == "" {
		worst = Finding{Severity: Yellow, Fact: "Windows does not tell whether it was generalised."}
	}
	r.l.find(check, worst.Severity, worst.Fact, next)
}

func (r *registry) domain() {
	const check, next = "windows-domain", "Take the reference machine out of the domain, then generalise it."
	domain := r.text(r.control, `Services\Tcpip\Parameters`, "NV Domain")
	if domain == "" {
		domain = r.text(r.control, `Services\Tcpip\Parameters`, "Domain")
	}
	account := r.key(r.security, `Policy\Secrets\$MACHINE.ACC`) != nil
	cloud := 0
	r.each(r.control, `Control\CloudDomainJoin\JoinInfo`, func(*hive.Key) { cloud++ })
	switch {
	case account:
		r.l.find(check, Red, "The reference machine is a member of the domain "+orUnknown(domain)+": its account's password is in the image.", next)
	case cloud > 0:
		r.l.find(check, Red, "The reference machine is joined to Entra ID (Azure AD).", "Run \"dsregcmd /leave\" on the reference machine, then generalise it.")
	case domain != "" && r.security == nil:
		r.l.find(check, Red, "The reference machine names the domain "+domain+", and whether it is a member cannot be read.", next)
	case domain != "":
		r.l.find(check, Yellow, "The reference machine has the DNS suffix "+domain+", and no account in a domain.", "Remove the suffix if not every laptop is to have it.")
	default:
		r.l.find(check, Green, "The reference machine is a member of no domain.", "")
	}
}

func orUnknown(s string) string {
	if s == "" {
		return "(name unknown)"
	}
	return s
}

// enrolled looks for a device management that took the machine in.
func (r *registry) enrolled() {
	var by []string
	r.each(r.software, `Microsoft\Enrollments`, func(k *hive.Key) {
		if p := r.text(k, "", "ProviderID"); p != "" && r.text(k, "", "UPN")+r.text(k, "", "DiscoveryServiceFullURL") != "" {
			by = append(by, p)
		}
	})
	if len(by) == 0 {
		r.l.find("windows-mdm", Green, "No device management has taken the machine in.", "")
		return
	}
	r.l.find("windows-mdm", Red, "The reference machine is enrolled at a device management: "+join(by, len(by))+".", "Disconnect it there (Settings, Accounts, Access work or school), then generalise it.")
}

// answerPointer looks for an answer file that the registry names before all others.
func (r *registry) answerPointer() {
	if f := r.text(r.system, "Setup", "UnattendFile"); f != "" {
		r.l.find("windows-answer-files", Yellow, "The registry names the answer file "+f+", which is used before any other.", "Remove SYSTEM\\Setup\\UnattendFile, unless it is meant so.")
	}
}

// users finds accounts of persons by their profiles and by their folders.
func (r *registry) users() {
	seen, found := map[string]bool{}, []string{}
	note := func(name string) {
		if key := strings.ToLower(name); name != "" && !seen[key] {
			seen[key], found = true, append(found, clean(name))
		}
	}
	r.each(r.software, currentNT+`\ProfileList`, func(k *hive.Key) {
		if strings.HasPrefix(k.Name, "S-1-5-21-") || strings.HasPrefix(k.Name, "S-1-12-1-") {
			note(path.Base(strings.ReplaceAll(r.text(k, "", "ProfileImagePath"), `\`, "/")))
		}
	})
	for _, e := range r.l.tree.list("/Users") {
		switch strings.ToLower(e.Name) {
		case "public", "default", "default user", "all users":
		default:
			if e.Mode == fs.Dir {
				note(e.Name)
			}
		}
	}
	r.l.told("windows-users", found, "There are no profiles of persons.", "Profiles of persons are in the image: ", "Remove accounts and profiles that were only needed to build the reference machine.")
}

// windowsTraces are files by which an agent or a network knows this one machine.
func (l *look) windowsTraces() {
	clean := true
	for _, a := range windowsAgents {
		for _, p := range a.places {
			if found := l.tree.match(p); len(found) > 0 {
				clean = false
				l.find("windows-agents", Red, a.name+" is enrolled as this one machine: "+join(cleaned(found), len(found))+".", dropAgent)
				break
			}
		}
	}
	if clean {
		l.find("windows-agents", Green, "No agent that enrols at a server was found.", "")
	}
	l.told("windows-wifi", l.tree.match("/ProgramData/Microsoft/Wlansvc/Profiles/Interfaces/*/*.xml"), "No Wi-Fi is saved.", "Wi-Fi networks are saved: ", "Run \"netsh wlan delete profile name=*\" on the reference machine.")
}

var windowsAgents = []struct {
	name   string
	places []string
}{
	{"Configuration Manager", []string{"/Windows/SMSCFG.ini"}},
	{"Tailscale", []string{"/ProgramData/Tailscale/server-state.conf"}},
	{"Salt minion", []string{"/ProgramData/Salt Project/Salt/conf/minion_id", "/salt/conf/minion_id", "/ProgramData/Salt Project/Salt/conf/pki/minion/minion.pem"}},
	{"Puppet", []string{"/ProgramData/PuppetLabs/puppet/etc/ssl/private_keys/*"}},
	{"Wazuh or OSSEC", []string{"/Program Files (x86)/ossec-agent/client.keys"}},
	{"Elastic Agent", []string{"/Program Files/Elastic/Agent/fleet.enc"}},
	{"ZeroTier", []string{"/ProgramData/ZeroTier/One/identity.secret"}},
	{"AnyDesk", []string{"/ProgramData/AnyDesk/service.conf", "/ProgramData/AnyDesk/system.conf"}},
	{"Fleet", []string{"/Program Files/Orbit/secret-orbit-node-key.txt"}},
}
