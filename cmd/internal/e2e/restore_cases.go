package e2e

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ingot/cmd/internal/lab"
	"ingot/imaging/job"
	"ingot/store"
)

// restoreCases prove that a backup is a server.
func restoreCases() []Case {
	return []Case{
		{"restore", "a backup taken while a laptop is written to becomes the server on an empty machine: the laptop goes on with it, an old receipt verifies, another laptop is imaged",
			needPlain, restoreServer},
	}
}

func restoreServer(ctx context.Context, e *Env) error {
	x, err := deployOn(ctx, e, Laptop(6, lab.BIOS, lab.NVMe), midWrite)
	if err != nil {
		return err
	}
	if _, err := x.endsWell(ctx, e); err != nil {
		return err
	}
	receipt := filepath.Join(e.Dir, "receipt.json")
	if _, err := x.d.CLI(ctx, "receipt", "show", x.laptop.Serial, "--file", receipt); err != nil {
		return err
	}
	if err := switchOff(ctx, x.run); err != nil {
		return err
	}
	const name = "LAB-0008"
	l := Laptop(8, lab.BIOS, lab.NVMe)
	l.Drives[0].Cache = "none"
	second := &running{d: x.d, version: x.version, laptop: l}
	if second.run, second.id, err = adoptAndDeploy(ctx, e, x.d, order{l, "sales", name}); err != nil {
		return err
	}
	if err := second.reaches(ctx, midWrite); err != nil {
		return err
	}
	made, err := second.moves(ctx, e)
	if err != nil {
		return err
	}
	if _, err := deployedAs(ctx, e, second.d, second.run, second.id, l, second.version, name); err != nil {
		return err
	}
	if err := switchOff(ctx, second.run); err != nil {
		return err
	}
	if err := restoredWell(ctx, e, second.d, made, receipt); err != nil {
		return err
	}
	return imagesAnother(ctx, e, second)
}

// moves backs the server up in mid-write, destroys it, and restores it into an empty folder.
func (x *running) moves(ctx context.Context, e *Env) (made store.ServerBackedUp, err error) {
	pass, file := filepath.Join(e.Dir, "passphrase"), filepath.Join(e.Dir, "server.age")
	if err := os.WriteFile(pass, []byte("four words and one more\n"), 0o600); err != nil {
		return made, err
	}
	if err := x.d.Read(ctx, &made, "backup", file, "--packs", "--passphrase-file", pass); err != nil {
		return made, err
	}
	if err := x.d.Kill(); err != nil {
		return made, err
	}
	if err := os.RemoveAll(x.d.Data); err != nil {
		return made, err
	}
	e.Say("backed up %d bytes in mid-write; the server is gone", made.Bytes)
	restored := e.daemonOn(filepath.Join(e.Dir, "empty"), fullDHCP...)
	if _, err := restored.CLI(ctx, "--config", filepath.Join(e.Dir, "restored.toml"), "restore", file, "--passphrase-file", pass); err != nil {
		return made, err
	}
	if x.d, err = e.startNew(ctx, restored); err != nil {
		return made, err
	}
	j, err := x.d.job(ctx, x.id)
	if err != nil {
		return made, err
	}
	e.Say("restored; the job is %s", j.State)
	return made, checks(same("the job", j.State, job.Writing), same("bindings", j.Bindings, 1))
}

// restoredWell holds that the record goes on where the backup ended, that the images' data is whole, and that a receipt
// of the old server holds against both the record and the chain.
func restoredWell(ctx context.Context, e *Env, d *Daemon, made store.ServerBackedUp, receipt string) error {
	var chain store.Chain
	if err := d.Read(ctx, &chain, "audit", "--check"); err != nil {
		return err
	}
	var server []store.Event
	if err := d.Read(ctx, &server, "audit", "server"); err != nil {
		return err
	}
	at := slices.IndexFunc(server, func(e store.Event) bool { return e.Act == "restore" })
	if err := checks(that(chain.Events > made.Events, "the chain has %d events, the backup had %d", chain.Events, made.Events),
		that(at >= 0 && server[at].Previous == made.Head, "the chain does not go on behind the backup's head: %v", server)); err != nil {
		return err
	}
	if _, err := d.CLI(ctx, "image", "check", "--read-data"); err != nil {
		return err
	}
	words, err := d.CLI(ctx, "receipt", "verify", receipt)
	if err != nil {
		return err
	}
	e.Say("the old server's receipt: %s", strings.TrimSpace(words))
	_, err = d.CLI(ctx, "audit", "verify", "--against", receipt)
	return err
}

// imagesAnother images a laptop that the old server never saw.
func imagesAnother(ctx context.Context, e *Env, x *running) error {
	const name = "NEW-0009"
	l := Laptop(9, lab.BIOS, lab.NVMe)
	r, id, err := adoptAndDeploy(ctx, e, x.d, order{l, "sales", name})
	if err != nil {
		return err
	}
	_, err = deployedAs(ctx, e, x.d, r, id, l, x.version, name)
	return err
}
