package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"

	"github.com/BurntSushi/toml"
	"github.com/spf13/cobra"

	"ingot/cmd/ingot/internal/backup"
	"ingot/cmd/ingot/internal/setup"
	"ingot/imaging/job"
)

func (a *app) restoreCommand() *cobra.Command {
	var from string
	c := &cobra.Command{Use: "restore FILE", Short: "Put a backup into an empty data folder",
		Long: `Puts what "ingot backup" wrote into the data folder, which must be empty; a boot bundle may lie there. The whole file is
unpacked beside its place and proven before anything of it is used, so a damaged file, a cut-off one or a wrong
passphrase leaves the folder as it was. With - for FILE it is read from stdin.

The configuration goes to /etc/ingot/ingot.toml (or the file of --config), unless one is there in which something is set;
the one that "make install" lays there is kept as ingot.toml.old. On a new server: "make install", this, then
"sudo ingot setup". Of a backup without the images' data the versions are on record and lack their content: import the
images again, or "ingot check --heal" fetches them from another server.
Exit codes: 0 done, 1 nothing was restored, 3 restored, and what was damaged before still is.`,
		Example: "sudo ingot restore /mnt/backup/ingot.age\nsudo ingot --data /srv/ingot restore - --passphrase-file /root/passphrase",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, given []string) error {
			cfg, err := a.previousConfig() // a file of --config that is not there yet is an empty one
			if err != nil {
				return err
			}
			if err := backup.Empty(cfg.Data); err != nil {
				return err
			}
			in, end, err := a.openInput(given[0])
			if err != nil {
				return err
			}
			defer end()
			pass, err := a.passphrase(from, false)
			if err != nil {
				return err
			}
			got, err := a.restore(c.Context(), cfg.Data, in, pass)
			if err != nil {
				return err
			}
			return a.tellRestored(cfg, got)
		}}
	c.Flags().StringVar(&from, "passphrase-file", "", "file whose first line is the passphrase")
	return a.outputFlag(c)
}

// openInput opens a file, or gives stdin for "-".
func (a *app) openInput(path string) (io.Reader, func(), error) {
	if path == "-" {
		return a.in, func() {}, nil
	}
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, job.Faultf(job.CodeNotFound, "No file %s.", path)
	}
	return f, func() { f.Close() }, err
}

// restore makes the folder, keeps everybody else out of it, and gives it to the service's user at the end.
func (a *app) restore(ctx context.Context, dir string, in io.Reader, pass string) (_ backup.Restored, err error) {
	uid, gid, err := ownerOf(dir)
	if err != nil {
		return backup.Restored{}, err
	}
	if err := os.MkdirAll(dir, 0o710); err != nil {
		return backup.Restored{}, err
	}
	lock, err := takeLock(filepath.Join(dir, "ingot.lock"))
	if err != nil {
		return backup.Restored{}, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	operator := cmp.Or(operatorName(os.Getuid(), os.Getenv("SUDO_USER")), "root")
	out, err := backup.Restore(ctx, in, pass, dir, operator)
	if err != nil {
		return out, err
	}
	switch {
	case os.Geteuid() == 0 && uid != 0: // it was another user's before
		err = setup.Claim(dir, uid, gid)
	case dir == defaultData:
		err = claim(dir) // of another folder "ingot setup" makes the service's, when that is wished
	}
	if err != nil {
		return out, partly{errors.Join(err, job.Faultf(job.CodeFile, "Everything is back in %s, but could not be given to the service's user: %s.", dir, job.Reason(err)))}
	}
	return out, nil
}

// tellRestored says what came back and what is left to do.
func (a *app) tellRestored(cfg config, got backup.Restored) error {
	where, err := a.placeConfig(cfg, got.Config)
	if err != nil {
		return err
	}
	if where != "" {
		a.step("%s", where)
	}
	if !got.Packs {
		a.step("the images' data was not in this backup: import the images again, or run \"ingot check --heal\" where another server holds them")
	}
	err = a.tell(got, cfg.Data, a.sayf("%s: the server as it was on %s, %s, %s; the audit trail goes on after event %d, head %s",
		cfg.Data, when(got.Made), counted(got.Files, "file", "files"), size(uint64(got.Bytes)), got.Events, got.Head.Head))
	if err != nil || len(got.Damaged) == 0 {
		return err
	}
	for _, d := range got.Damaged {
		a.step("damaged when the backup was made: %s", d)
	}
	return partly{fmt.Errorf("%d things were damaged already when the backup was made: see \"ingot check\"", len(got.Damaged))}
}

// placeConfig copies the restored configuration to where this machine looks for one, unless one is there in which
// something is set.
func (a *app) placeConfig(cfg config, restored string) (string, error) {
	if restored == "" {
		return "", nil
	}
	path := cmp.Or(a.config, defaultConfig)
	b, err := os.ReadFile(restored)
	if err != nil {
		return "", err
	}
	if old, err := os.ReadFile(path); err == nil && !nothingSet(old) {
		if string(old) == string(b) {
			return "", nil
		}
		return fmt.Sprintf("%s stays; that of the backup is %s", path, restored), nil
	}
	if _, err := setup.Write(path, b, 0o644); err != nil {
		return fmt.Sprintf("%s could not be written; the configuration of the backup is %s", path, restored), nil
	}
	var was config
	if _, err := toml.Decode(string(b), &was); err == nil && cmp.Or(was.Data, defaultData) != cfg.Data {
		return fmt.Sprintf("%s: written; it names the data folder %s, and this is %s: change it, or start with --data", path, cmp.Or(was.Data, defaultData), cfg.Data), nil
	}
	return path + ": written", nil
}

// nothingSet says whether a configuration leaves everything as it is by default, as the one does that "make install"
// lays on a new server.
func nothingSet(text []byte) bool {
	var c config
	if _, err := toml.Decode(string(text), &c); err != nil {
		return false
	}
	return reflect.DeepEqual(c, config{Data: c.Data}) && (c.Data == "" || c.Data == defaultData)
}
