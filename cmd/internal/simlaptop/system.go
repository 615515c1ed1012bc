package simlaptop

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"ingot/imaging/agent"
	"ingot/imaging/disk"
	imagefs "ingot/imaging/fs"
	"ingot/imaging/job"
	"ingot/imaging/personalise"
)

// system is what lies on a drive since the last deploy.
type system struct {
	root disk.Part
	home string // the folder of the letter that the first start brings
}

// program stands for the agent's binary, which the real one leaves in the system.
var program = []byte("#!/bin/sh\n# the first-boot program of a simulated laptop\n")

// Fit makes Run an agent.Personaliser. A file has no partitions that the kernel could grow.
func (r *Run) Fit(context.Context, agent.Written) error {
	return job.Faultf(job.CodeGrow, "A simulated drive is as large as its image.")
}

// Personalise gives the written system its name.
func (r *Run) Personalise(ctx context.Context, w agent.Written, p job.Personal) (job.PersonalisedProof, error) {
	return r.name(ctx, w, func(root *os.Root) ([]personalise.Change, error) {
		return personalise.Plan(root, personalise.Settings{Personal: p, Agent: program})
	})
}

// Rename gives it another one.
func (r *Run) Rename(ctx context.Context, w agent.Written, p job.Personal, former string) (job.PersonalisedProof, error) {
	return r.name(ctx, w, func(root *os.Root) ([]personalise.Change, error) {
		return personalise.PlanRename(root, personalise.Settings{Personal: p, Agent: program}, former)
	})
}

func (r *Run) name(ctx context.Context, w agent.Written, plan func(*os.Root) ([]personalise.Change, error)) (job.PersonalisedProof, error) {
	part, ok := w.Part(w.Root)
	if !ok {
		return job.PersonalisedProof{}, job.Faultf(job.CodeUnknownOS, "It has no root partition.")
	}
	proof, home, err := personaliseFile(ctx, r.laptop.Drive.Path, part, plan)
	if err != nil {
		return proof, errors.Join(err, job.Faultf(job.CodePersonalise, "debugfs did not do it."))
	}
	r.laptop.mu.Lock()
	defer r.laptop.mu.Unlock()
	r.laptop.system = &system{part, home}
	return proof, nil
}

// personaliseFile plans as the real agent does, on a copy of the files, carries the plan out with debugfs, and proves
// it on a second copy.
func personaliseFile(ctx context.Context, drive string, part disk.Part, plan func(*os.Root) ([]personalise.Change, error)) (proof job.PersonalisedProof, home string, err error) {
	dir, err := os.MkdirTemp("", "simlaptop-")
	if err != nil {
		return proof, "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	e := ext4{drive: fmt.Sprintf("%s?offset=%d", drive, part.Offset), dir: dir}
	before, err := e.dump(ctx, "before")
	if err != nil {
		return proof, "", err
	}
	defer before.Close()
	changes, err := plan(before)
	if err != nil {
		return proof, "", err
	}
	if err := e.apply(ctx, before, changes); err != nil {
		return proof, "", err
	}
	after, err := e.dump(ctx, "after")
	if err != nil {
		return proof, "", err
	}
	defer after.Close()
	proof, err = personalise.ReadBack(after, changes)
	for _, c := range changes {
		if path.Base(c.Path) == personalise.Letter {
			home = path.Dir(c.Path)
		}
	}
	return proof, home, err
}

// ext4 is one file system within a drive's file, as debugfs names it.
type ext4 struct {
	drive, dir string
}

// dump copies all its files into a folder.
func (e ext4) dump(ctx context.Context, name string) (*os.Root, error) {
	to := filepath.Join(e.dir, name)
	if err := os.Mkdir(to, 0o700); err != nil {
		return nil, err
	}
	if out, err := exec.CommandContext(ctx, "debugfs", "-R", "rdump / "+to, e.drive).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("debugfs rdump: %w: %.300s", err, out)
	}
	return os.OpenRoot(to)
}

// apply writes the changes. What debugfs could not do shows when it is read back.
func (e ext4) apply(ctx context.Context, there *os.Root, changes []personalise.Change) error {
	var script strings.Builder
	made := map[string]bool{".": true}
	for i, c := range changes {
		if err := makeFolders(&script, there, path.Dir(c.Path), made); err != nil {
			return err
		}
		if _, err := there.Lstat(c.Path); err == nil {
			fmt.Fprintf(&script, "rm /%s\n", c.Path)
		}
		switch {
		case c.Remove:
		case c.Link != "":
			fmt.Fprintf(&script, "symlink /%s %s\n", c.Path, c.Link)
		default:
			file := filepath.Join(e.dir, fmt.Sprintf("new%d", i))
			if err := os.WriteFile(file, c.Data, 0o600); err != nil {
				return err
			}
			fmt.Fprintf(&script, "cd /%s\nwrite %s %s\nset_inode_field %s mode 0100%o\n", path.Dir(c.Path), file, path.Base(c.Path), path.Base(c.Path), c.Mode.Perm())
		}
	}
	cmd := exec.CommandContext(ctx, "debugfs", "-w", "-f", "-", e.drive)
	cmd.Stdin = strings.NewReader(script.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("debugfs -w: %w: %.300s", err, out)
	}
	return nil
}

// makeFolders makes a folder and those above it, once each.
func makeFolders(script *strings.Builder, there *os.Root, dir string, made map[string]bool) error {
	if made[dir] {
		return nil
	}
	if err := makeFolders(script, there, path.Dir(dir), made); err != nil {
		return err
	}
	made[dir] = true
	if _, err := there.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(script, "mkdir /%s\n", dir)
	} else if err != nil {
		return err
	}
	return nil
}

func section(f *os.File, p disk.Part) io.ReaderAt {
	return io.NewSectionReader(f, int64(p.Offset), int64(p.Size))
}

// FirstBoot is the first start of the system on the drive: it reads the name and the letter that were written there,
// and reports to whoever the letter names. It gives that name.
func (l *Laptop) FirstBoot(ctx context.Context, s Server) (name string, err error) {
	l.mu.Lock()
	sys := l.system
	l.mu.Unlock()
	if sys == nil {
		return "", fmt.Errorf("%s: no system was written to its drive", l.Serial())
	}
	f, err := os.Open(l.Drive.Path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	v, err := imagefs.Open(section(f, sys.root), int64(sys.root.Size))
	if err != nil {
		return "", fmt.Errorf("%s: open its root partition: %w", l.Serial(), err)
	}
	host, err := v.ReadFile("/etc/hostname", 256)
	if err != nil {
		return "", fmt.Errorf("%s: read its name: %w", l.Serial(), err)
	}
	text, err := v.ReadFile("/"+sys.home+"/"+personalise.Letter, job.MaxBody)
	if err != nil {
		return "", fmt.Errorf("%s: read its letter: %w", l.Serial(), err)
	}
	var letter personalise.Call
	if err := json.Unmarshal(text, &letter); err != nil {
		return "", fmt.Errorf("%s: read its letter: %w", l.Serial(), err)
	}
	name = strings.TrimSpace(string(host))
	return name, l.callHome(ctx, s, letter, job.CallHome{Deployment: letter.Deployment, Secret: letter.Secret, Hostname: name, MachineID: machineID(), OS: "Simulated GNU/Linux 12"})
}

// machineID is as systemd makes it at a first start, hashed as the report carries it.
func machineID() string {
	sum := sha256.Sum256([]byte(rand.Text()))
	return hex.EncodeToString(sum[:])
}

// callHome brings the report. The letter's pin is the one that the laptop was given.
func (l *Laptop) callHome(ctx context.Context, s Server, letter personalise.Call, word job.CallHome) error {
	if letter.Pin != s.Pin {
		return fmt.Errorf("%s: its letter names the key %s, not %s", l.Serial(), letter.Pin, s.Pin)
	}
	c, err := l.dial(s)
	if err != nil {
		return err
	}
	defer c.Close()
	body, err := json.Marshal(word)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, letter.URL+"/v1/callhome", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.HTTP().Do(req)
	if err != nil {
		return fmt.Errorf("%s: call home: %w", l.Serial(), err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		said, _ := io.ReadAll(io.LimitReader(resp.Body, 500)) // what it says besides is a courtesy
		return fmt.Errorf("%s: call home: %s: %s", l.Serial(), resp.Status, said)
	}
	return nil
}
