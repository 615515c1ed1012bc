package wipe_test

import (
	"slices"
	"strings"
	"testing"

	"ingot/imaging/wipe"
)

// TestTheDecisionTable is the table of what is done to which drive: each row is what a drive can do, the policy and the
// means, and the techniques in order. A technique that only stands in for a better one has a "~" before it, one that
// needs the machine to sleep first a "z".
func TestTheDecisionTable(t *testing.T) {
	def := wipe.DefaultPolicy()
	with := func(change func(*wipe.Policy)) wipe.Policy {
		p := wipe.DefaultPolicy()
		change(&p)
		return p
	}
	purgeDisk := with(func(p *wipe.Policy) { p.Want[wipe.SATADisk] = wipe.Purge })
	strict := with(func(p *wipe.Policy) { p.Fallbacks = nil })
	nvme := func(n wipe.NVMeAbility) wipe.Ability {
		n.Namespaces = 1
		return wipe.Ability{Class: wipe.NVMe, NVMe: &n}
	}
	ata := func(c wipe.Class, a wipe.ATAAbility) wipe.Ability {
		a.StatusKnown = a.Sanitize
		return wipe.Ability{Class: c, ATA: &a}
	}
	sec := wipe.ATASecurity{Supported: true, Enhanced: true}
	full := wipe.ATAAbility{Sanitize: true, Crypto: true, Block: true, Overwrite: true, Security: sec}
	frozen := full
	frozen.Security.Frozen, frozen.Status.Frozen = true, true
	busy := full
	busy.Status.Running = true
	silent := ata(wipe.SATAFlash, full)
	silent.ATA.StatusKnown = false
	with2 := func(a wipe.Ability, o wipe.OpalAbility) wipe.Ability { a.Opal = &o; return a }
	running := nvme(wipe.NVMeAbility{Crypto: true, Log: wipe.SanitizeLog{Status: 2}})

	for name, c := range map[string]struct {
		a      wipe.Ability
		p      wipe.Policy
		m      wipe.Means
		steps  string
		refuse wipe.Cause
	}{
		"NVMe that offers everything":             {nvme(wipe.NVMeAbility{Crypto: true, Block: true, Overwrite: true, Format: true, FormatCrypto: true}), def, wipe.Means{}, "nvme-sanitize-crypto nvme-sanitize-block nvme-sanitize-overwrite ~nvme-format-crypto ~nvme-format-user ~overwrite", ""},
		"NVMe with block erase only":              {nvme(wipe.NVMeAbility{Block: true, Format: true}), def, wipe.Means{}, "nvme-sanitize-block ~nvme-format-user ~overwrite", ""},
		"NVMe with format only":                   {nvme(wipe.NVMeAbility{Format: true}), def, wipe.Means{}, "~nvme-format-user ~overwrite", ""},
		"NVMe with format only, strict":           {nvme(wipe.NVMeAbility{Format: true}), strict, wipe.Means{}, "", wipe.CauseUnsupported},
		"NVMe, a sanitize runs":                   {running, def, wipe.Means{}, "", wipe.CauseBusy},
		"SATA SSD that offers everything":         {ata(wipe.SATAFlash, full), def, wipe.Means{}, "ata-sanitize-crypto ata-sanitize-block ata-sanitize-overwrite ~ata-security-erase-enhanced ~ata-security-erase ~overwrite", ""},
		"SATA SSD without SANITIZE":               {ata(wipe.SATAFlash, wipe.ATAAbility{Security: sec}), def, wipe.Means{}, "~ata-security-erase-enhanced ~ata-security-erase ~overwrite", ""},
		"SATA SSD, plain erase":                   {ata(wipe.SATAFlash, wipe.ATAAbility{Security: wipe.ATASecurity{Supported: true}}), def, wipe.Means{}, "~ata-security-erase ~overwrite", ""},
		"SATA SSD, everything frozen":             {ata(wipe.SATAFlash, frozen), def, wipe.Means{}, "~overwrite", ""},
		"SATA SSD, frozen, no overwrite":          {ata(wipe.SATAFlash, frozen), strict, wipe.Means{}, "", wipe.CauseFrozen},
		"SATA SSD, frozen, the machine can sleep": {ata(wipe.SATAFlash, frozen), def, wipe.Means{Thaw: true}, "zata-sanitize-crypto zata-sanitize-block zata-sanitize-overwrite ~zata-security-erase-enhanced ~zata-security-erase ~overwrite", ""},
		"SATA SSD that hides its status":          {silent, def, wipe.Means{}, "~ata-security-erase-enhanced ~ata-security-erase ~overwrite", ""},
		"SATA SSD locked by a password":           {ata(wipe.SATAFlash, wipe.ATAAbility{Security: wipe.ATASecurity{Supported: true, Enabled: true, Locked: true}}), def, wipe.Means{}, "", wipe.CauseLocked},
		"SATA disk, a sanitize runs":              {ata(wipe.SATADisk, busy), def, wipe.Means{}, "", wipe.CauseBusy},
		"SATA disk":                               {ata(wipe.SATADisk, full), def, wipe.Means{}, "overwrite", ""},
		"SATA disk, purge":                        {ata(wipe.SATADisk, full), purgeDisk, wipe.Means{}, "ata-sanitize-overwrite ata-sanitize-crypto ~ata-security-erase-enhanced ~ata-security-erase ~overwrite", ""},
		"eMMC with SANITIZE":                      {wipe.Ability{Class: wipe.EMMC, EMMC: &wipe.EMMCAbility{Sanitize: true, Secure: true}}, def, wipe.Means{}, "emmc-sanitize ~emmc-secure-erase ~overwrite", ""},
		"eMMC, old":                               {wipe.Ability{Class: wipe.EMMC, EMMC: &wipe.EMMCAbility{Secure: true}}, def, wipe.Means{}, "~emmc-secure-erase ~overwrite", ""},
		"UFS":                                     {wipe.Ability{Class: wipe.UFS}, def, wipe.Means{}, "~overwrite", ""},
		"Opal, locked, no PSID":                   {with2(nvme(wipe.NVMeAbility{Crypto: true}), wipe.OpalAbility{Supported: true, Enabled: true, Locked: true}), def, wipe.Means{}, "", wipe.CauseNeedPSID},
		"Opal, locked, with PSID":                 {with2(nvme(wipe.NVMeAbility{Crypto: true}), wipe.OpalAbility{Supported: true, Enabled: true, Locked: true}), def, wipe.Means{PSID: true}, "unlock nvme-sanitize-crypto ~overwrite", ""},
		"Opal, open, with PSID":                   {with2(nvme(wipe.NVMeAbility{Format: true}), wipe.OpalAbility{Supported: true, Enabled: true, Encrypts: true}), def, wipe.Means{PSID: true}, "~opal-psid-revert ~nvme-format-user ~overwrite", ""},
		"Opal, never switched on":                 {with2(nvme(wipe.NVMeAbility{Format: true}), wipe.OpalAbility{Supported: true}), def, wipe.Means{PSID: true}, "~nvme-format-user ~overwrite", ""},
		"behind a bridge":                         {wipe.Ability{Class: wipe.Unknown, Behind: "a USB bridge"}, def, wipe.Means{}, "", wipe.CauseBridge},
		"behind a bridge, asked for":              {wipe.Ability{Class: wipe.Unknown, Behind: "a USB bridge"}, def, wipe.Means{Override: true}, "~overwrite", ""},
		"unknown, the policy takes them":          {wipe.Ability{Class: wipe.Unknown}, with(func(p *wipe.Policy) { p.Unknown = true }), wipe.Means{}, "~overwrite", ""},
		"read-only":                               {wipe.Ability{Class: wipe.NVMe, ReadOnly: true, NVMe: &wipe.NVMeAbility{Crypto: true}}, def, wipe.Means{}, "", wipe.CauseReadOnly},
	} {
		t.Run(name, func(t *testing.T) {
			p := wipe.NewPlan(c.a, c.p, c.m)
			if got := written(p); got != c.steps || p.Refusal != c.refuse {
				t.Errorf("NewPlan = %q, refusal %q (%s); want %q, %q", got, p.Refusal, p.Why, c.steps, c.refuse)
			}
			if (len(p.Steps) == 0) != (p.Refusal != "") || p.Refusal != "" && p.Why == "" {
				t.Errorf("a plan of %d steps with refusal %q because of %q", len(p.Steps), p.Refusal, p.Why)
			}
			for _, s := range p.Steps {
				if s.Technique == wipe.Overwrite && s.Claim != wipe.Clear {
					t.Errorf("an overwrite claims %q", s.Claim)
				}
			}
		})
	}
}

func written(p wipe.Plan) string {
	var out []string
	if p.Unlock && p.Refusal == "" {
		out = append(out, "unlock")
	}
	for _, s := range p.Steps {
		w := string(s.Technique)
		if s.Thaw {
			w = "z" + w
		}
		if s.Fallback {
			w = "~" + w
		}
		out = append(out, w)
	}
	return strings.Join(out, " ")
}

// TestNoPolicyRaisesWhatCannotBeAPurge: an overwrite of addressable blocks stays a Clear, whatever a policy says.
func TestNoPolicyRaisesWhatCannotBeAPurge(t *testing.T) {
	for _, tech := range []wipe.Technique{wipe.Overwrite, wipe.SecurityErase, wipe.EMMCSecure, wipe.NVMeCrypto, "dd"} {
		p := wipe.DefaultPolicy()
		p.Raise = []wipe.Technique{tech}
		if err := p.Validate(); err == nil {
			t.Errorf("a policy that raises %s to a purge is valid", tech)
		}
	}
	p := wipe.DefaultPolicy()
	p.Raise = []wipe.Technique{wipe.FormatCrypto, wipe.FormatUser, wipe.PSIDRevert, wipe.SecurityEraseEx}
	if err := p.Validate(); err != nil {
		t.Errorf("Validate = %v", err)
	}
}

func TestAPolicyThatNoRunCouldKeepIsRefused(t *testing.T) {
	for name, change := range map[string]func(*wipe.Policy){
		"no name":             func(p *wipe.Policy) { p.Name = "" },
		"no version":          func(p *wipe.Policy) { p.Version = 0 },
		"no depth":            func(p *wipe.Policy) { p.Depth = "" },
		"an unknown class":    func(p *wipe.Policy) { p.Want["floppy"] = wipe.Clear },
		"an unknown level":    func(p *wipe.Policy) { p.Want[wipe.NVMe] = "destroy" },
		"an unknown fallback": func(p *wipe.Policy) { p.Fallbacks = []wipe.Technique{"discard"} },
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := nvmeWorld(t, nil)
			change(&w.order.Policy)
			want(t, w.wipe(), wipe.Refused, wipe.CauseInternal, "", "")
		})
	}
}

func TestEveryTechniqueHasItsWordsAndItsLimit(t *testing.T) {
	all := wipe.Techniques()
	if len(all) != 14 {
		t.Errorf("%d techniques", len(all))
	}
	for _, tech := range all {
		if tech.Does() == "" || !tech.Known() {
			t.Errorf("%s has no words", tech)
		}
	}
	if slices.Contains(all, "discard") || wipe.Technique("discard").Known() {
		t.Error("a discard is no technique")
	}
}

// TestARevertThatThrowsNoKeyAwayIsNoPurge: where the drive does not encrypt, a revert opens it and no more, whatever a policy
// says.
func TestARevertThatThrowsNoKeyAwayIsNoPurge(t *testing.T) {
	p := wipe.DefaultPolicy()
	p.Raise = []wipe.Technique{wipe.PSIDRevert}
	for encrypts, want := range map[bool]wipe.Level{true: wipe.Purge, false: wipe.Clear} {
		a := wipe.Ability{Class: wipe.NVMe, NVMe: &wipe.NVMeAbility{Namespaces: 1}, Opal: &wipe.OpalAbility{Supported: true, Enabled: true, Encrypts: encrypts}}
		plan := wipe.NewPlan(a, p, wipe.Means{PSID: true})
		if len(plan.Steps) == 0 || plan.Steps[0].Technique != wipe.PSIDRevert || plan.Steps[0].Claim != want {
			t.Errorf("it encrypts: %t; steps %+v; want a revert that claims %s", encrypts, plan.Steps, want)
		}
	}
}
