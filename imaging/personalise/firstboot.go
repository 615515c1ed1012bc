package personalise

import (
	"encoding/json"
	"maps"
	"path"
	"slices"
	"strings"

	"ingot/imaging/job"
)

// The files of the first boot. Everything is below one folder or is a unit, so that the program can take itself
// away again.
const (
	KeysUnit = "ingot-keys.service"      // makes SSH host keys before sshd starts
	CallUnit = "ingot-firstboot.service" // reports the observed name
	Program  = "ingot-agent"             // the agent's own binary
	Letter   = "callhome.json"           // the secret and where to bring it
)

// Call is what the letter holds.
type Call struct {
	Deployment string    `json:"deployment"`
	URL        string    `json:"url"`
	Pin        job.KeyID `json:"pin"`
	Secret     string    `json:"secret"`
}

// UnitFiles are the paths, below the root, that the first boot removes besides its own folder.
func UnitFiles() []string {
	var out []string
	for _, u := range []string{KeysUnit, CallUnit} {
		out = append(out, path.Join(unitDir, u), path.Join(wantsDir, u))
	}
	return out
}

const (
	unitDir  = "etc/systemd/system"
	wantsDir = "etc/systemd/system/multi-user.target.wants"
)

// keysUnit runs once and shortly before sshd, only while host keys are missing; a failure is no failed unit.
const keysUnit = `[Unit]
Description=Ingot: make this computer's own SSH host keys
DefaultDependencies=no
After=local-fs.target systemd-machine-id-commit.service
Before=ssh.service sshd.service ssh.socket sshd.socket multi-user.target
RequiresMountsFor=/{home}
ConditionPathExists=/{home}/{program}

[Service]
Type=oneshot
ExecStart=-/{home}/{program} firstboot keys
StandardOutput=journal

[Install]
WantedBy=multi-user.target
`

// callUnit is a simple service: nothing waits for it, so an absent daemon slows no boot; it ends well whatever
// the daemon says.
const callUnit = `[Unit]
Description=Ingot: report the first start under the assigned name
After=network.target
RequiresMountsFor=/{home}
ConditionPathExists=/{home}/{letter}

[Service]
Type=simple
ExecStart=-/{home}/{program} firstboot call
StandardOutput=journal

[Install]
WantedBy=multi-user.target
`

// firstBoot leaves the program, its letter and two enabled units.
func (p *planner) firstBoot() error {
	return p.leave(map[string]string{KeysUnit: keysUnit, CallUnit: callUnit})
}

// letter leaves them without the unit that makes host keys: a system that ran before has its own.
func (p *planner) letter() error { return p.leave(map[string]string{CallUnit: callUnit}) }

// leave puts everything into /var/lib/ingot, or into /etc/ingot where /var is a partition of its own. The units are
// enabled last.
func (p *planner) leave(units map[string]string) error {
	home := "var/lib/ingot"
	separate, err := p.separate("/" + home)
	if err != nil {
		return err
	}
	if separate {
		home = "etc/ingot"
	}
	letter, err := json.Marshal(Call{Deployment: p.s.Personal.Deployment, URL: p.s.Personal.CallHomeURL, Pin: p.s.Personal.CallHomePin, Secret: p.s.Personal.CallHomeSecret})
	if err != nil {
		return err
	}
	p.changes = append(p.changes,
		Change{Path: path.Join(home, Program), Data: p.s.Agent, Mode: programMode},
		Change{Path: path.Join(home, Letter), Data: letter, Mode: secretMode})
	names := slices.Sorted(maps.Keys(units))
	for _, u := range names {
		p.write(path.Join(unitDir, u), strings.NewReplacer("{home}", home, "{program}", Program, "{letter}", Letter).Replace(units[u]))
	}
	for _, u := range names {
		p.changes = append(p.changes, Change{Path: path.Join(wantsDir, u), Link: "../" + u})
	}
	return nil
}
