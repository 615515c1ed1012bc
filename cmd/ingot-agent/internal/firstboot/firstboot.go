// Package firstboot is what the agent's binary does inside the deployed system, once.
//
// The idea: the daemon believes that a laptop runs under its Name when the system itself says so. Personalising
// leaves this program with a letter (callhome.json, mode 0600): where the daemon is, the pin of its key, and a
// secret that counts once. Keys makes the SSH host keys that were taken away, before sshd starts. Call posts the
// name that the kernel tells, repeats until the daemon has recorded it or refuses it, and then takes the units,
// the program and the letter away. Neither ever fails the system's start.
package firstboot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"ingot/cmd/ingot-agent/internal/pinned"
	"ingot/imaging/job"
	"ingot/imaging/personalise"
)

// Lifetime is how long a letter is worth bringing; the daemon refuses its secret afterwards.
const Lifetime = 7 * 24 * time.Hour

// System is the deployed system as this program sees it.
type System struct {
	Root     string                 // "/" outside of tests
	Home     string                 // the program's own folder, where the letter lies
	Hostname func() (string, error) // as the kernel tells it
	Now      func() time.Time
	Log      zerolog.Logger
	First    time.Duration // the pause after the first attempt that failed; it doubles up to Longest
	Longest  time.Duration
}

// Call reports the first boot. It returns nil when there is nothing left to do: recorded, refused for good, or too
// old; everything of the first boot is removed then. It ends early only with ctx, to go on at the next start.
func (s System) Call(ctx context.Context) error {
	path := filepath.Join(s.Home, personalise.Letter)
	call, written, err := readLetter(path)
	if errors.Is(err, os.ErrNotExist) {
		return s.clean()
	}
	if err != nil {
		s.Log.Error().Err(err).Msg("the letter cannot be read; it is thrown away")
		return s.clean()
	}
	pause := s.First
	for {
		if age := s.Now().Sub(written); age > Lifetime {
			s.Log.Error().Msg("the daemon was not reached in 7 days; giving up")
			return s.clean()
		}
		final, err := s.post(ctx, call)
		if err == nil {
			s.Log.Info().Msg("the daemon has recorded this start")
			return s.clean()
		}
		s.Log.Info().Err(err).Bool("final", final).Msg("the daemon did not record this start")
		if final {
			return s.clean()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, s.Longest)
	}
}

func readLetter(path string) (personalise.Call, time.Time, error) {
	var c personalise.Call
	f, err := os.Open(path)
	if err != nil {
		return c, time.Time{}, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return c, time.Time{}, err
	}
	err = json.NewDecoder(io.LimitReader(f, job.MaxBody)).Decode(&c)
	return c, fi.ModTime(), err
}

// post says once who this system is. final means that asking again cannot help.
func (s System) post(ctx context.Context, c personalise.Call) (final bool, err error) {
	word, err := s.describe(c)
	if err != nil {
		return false, err
	}
	body, err := json.Marshal(word)
	if err != nil {
		return true, err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL+"/v1/callhome", bytes.NewReader(body))
	if err != nil {
		return true, err
	}
	req.Header.Set("Content-Type", "application/json")
	tr := &http.Transport{TLSClientConfig: pinned.Config(c.Pin), DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode/100 == 2:
		return true, nil
	case resp.StatusCode/100 == 4 && resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusRequestTimeout:
		return true, fmt.Errorf("the daemon refused: %s", resp.Status)
	}
	return false, fmt.Errorf("the daemon answered %s", resp.Status)
}

// describe reads who this system is. A machine-id that is not made yet is not reported.
func (s System) describe(c personalise.Call) (job.CallHome, error) {
	name, err := s.Hostname()
	if err != nil {
		return job.CallHome{}, fmt.Errorf("read the host name: %w", err)
	}
	h := job.CallHome{Deployment: c.Deployment, Secret: c.Secret, Hostname: name}
	if id, err := readSome(filepath.Join(s.Root, "etc/machine-id")); err == nil && strings.TrimSpace(id) != "" {
		sum := sha256.Sum256([]byte(strings.TrimSpace(id)))
		h.MachineID = hex.EncodeToString(sum[:])
	}
	for _, p := range []string{"etc/os-release", "usr/lib/os-release"} {
		if text, err := readSome(filepath.Join(s.Root, p)); err == nil {
			h.OS = prettyName(text)
			break
		}
	}
	return h, nil
}

func readSome(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 1<<16))
	return string(b), err
}

// prettyName reads PRETTY_NAME of os-release(5), at most 200 bytes.
func prettyName(text string) string {
	for l := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(l), "PRETTY_NAME="); ok {
			v = strings.Trim(v, `"'`)
			return v[:min(len(v), 200)]
		}
	}
	return ""
}

// clean takes the letter away first, since it holds the secret, then the units, the program and its folder.
func (s System) clean() error {
	var errs []error
	remove := func(path string) {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	remove(filepath.Join(s.Home, personalise.Letter))
	for _, u := range personalise.UnitFiles() {
		remove(filepath.Join(s.Root, u))
	}
	remove(filepath.Join(s.Home, personalise.Program))
	remove(s.Home)
	return errors.Join(errs...)
}

// Keys makes the SSH host keys where the system has ssh-keygen and none are there. tool is ssh-keygen's path.
func (s System) Keys(ctx context.Context, tool string) error {
	have, err := filepath.Glob(filepath.Join(s.Root, "etc/ssh/ssh_host_*_key"))
	if err != nil || len(have) > 0 {
		return err
	}
	if _, err := os.Stat(tool); err != nil {
		s.Log.Info().Msg("there is no ssh-keygen; nothing to do")
		return nil
	}
	args := []string{"-A"}
	if s.Root != "/" {
		args = append(args, "-f", s.Root)
	}
	out, err := exec.CommandContext(ctx, tool, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("make SSH host keys: %w: %s", err, out[:min(len(out), 300)])
	}
	s.Log.Info().Msg("SSH host keys made")
	return nil
}
