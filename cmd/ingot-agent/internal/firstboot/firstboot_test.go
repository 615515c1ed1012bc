package firstboot_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"ingot/cmd/ingot-agent/internal/firstboot"
	"ingot/imaging/job"
	"ingot/imaging/personalise"
	"ingot/imaging/sign"
)

// deployed is a system as personalising leaves it, with a daemon that answers as told.
func deployed(t *testing.T, answer func(n int, h job.CallHome) int) (firstboot.System, *atomic.Int32) {
	t.Helper()
	var asked atomic.Int32
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var h job.CallHome
		if err := json.NewDecoder(r.Body).Decode(&h); err != nil || r.URL.Path != "/v1/callhome" {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
		w.WriteHeader(answer(int(asked.Add(1)), h))
	}))
	t.Cleanup(srv.Close)
	dir := t.TempDir()
	for _, d := range []string{"usr/lib/systemd/system", "etc/ssh"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "usr/lib/os-release"), []byte("NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	changes, err := personalise.Plan(root, personalise.Settings{Agent: []byte("agent"), Personal: job.Personal{DeviceName: "LAP-1", Deployment: "d1",
		CallHomeURL: srv.URL, CallHomePin: job.KeyID(sign.KeyID(srv.Certificate().RawSubjectPublicKeyInfo)), CallHomeSecret: "s3cret"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := personalise.Apply(root, changes); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "etc/machine-id"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "etc/machine-id"), []byte("0123\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return firstboot.System{Root: dir, Home: filepath.Join(dir, "var/lib/ingot"), Hostname: func() (string, error) { return "LAP-1", nil },
		Now: time.Now, Log: zerolog.Nop(), First: time.Millisecond, Longest: time.Millisecond}, &asked
}

func gone(t *testing.T, s firstboot.System) {
	t.Helper()
	for _, p := range append(personalise.UnitFiles(), "var/lib/ingot") {
		if _, err := os.Lstat(filepath.Join(s.Root, p)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there (%v)", p, err)
		}
	}
}

func TestARecordedStartLeavesNothingBehind(t *testing.T) {
	s, asked := deployed(t, func(n int, h job.CallHome) int {
		if h.Hostname != "LAP-1" || h.Secret != "s3cret" || h.Deployment != "d1" || h.OS != "Debian GNU/Linux 12" || len(h.MachineID) != 64 {
			t.Errorf("the call says %+v", h)
		}
		return http.StatusNoContent
	})
	if err := s.Call(t.Context()); err != nil || asked.Load() != 1 {
		t.Errorf("Call = %v after %d requests", err, asked.Load())
	}
	gone(t, s)
	if err := s.Call(t.Context()); err != nil || asked.Load() != 1 {
		t.Errorf("a second Call = %v after %d requests", err, asked.Load())
	}
}

func TestADaemonThatIsDownIsAskedAgain(t *testing.T) {
	s, asked := deployed(t, func(n int, h job.CallHome) int {
		if n < 5 {
			return http.StatusServiceUnavailable
		}
		return http.StatusNoContent
	})
	if err := s.Call(t.Context()); err != nil || asked.Load() != 5 {
		t.Errorf("Call = %v after %d requests; want 5", err, asked.Load())
	}
	gone(t, s)
}

func TestARefusedSecretIsThrownAway(t *testing.T) {
	s, asked := deployed(t, func(int, job.CallHome) int { return http.StatusForbidden })
	if err := s.Call(t.Context()); err != nil || asked.Load() != 1 {
		t.Errorf("Call = %v after %d requests; want 1", err, asked.Load())
	}
	gone(t, s)
}

func TestTheEndOfTheStartKeepsTheLetter(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s, _ := deployed(t, func(int, job.CallHome) int { cancel(); return http.StatusServiceUnavailable })
	if err := s.Call(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Call = %v", err)
	}
	if _, err := os.Stat(filepath.Join(s.Home, personalise.Letter)); err != nil {
		t.Error(err)
	}
}

func TestAnOldLetterIsThrownAway(t *testing.T) {
	s, asked := deployed(t, func(int, job.CallHome) int { return http.StatusNoContent })
	s.Now = func() time.Time { return time.Now().Add(firstboot.Lifetime + time.Hour) }
	if err := s.Call(t.Context()); err != nil || asked.Load() != 0 {
		t.Errorf("Call = %v after %d requests; want none", err, asked.Load())
	}
	gone(t, s)
}

// TestTheSecretGoesToThePinnedKeyOnly goes red when the pin is not compared.
func TestTheSecretGoesToThePinnedKeyOnly(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s, asked := deployed(t, func(int, job.CallHome) int { return http.StatusNoContent })
	path := filepath.Join(s.Home, personalise.Letter)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var c personalise.Call
	if err := json.Unmarshal(b, &c); err != nil {
		t.Fatal(err)
	}
	c.Pin = "sha256:00"
	if b, err = json.Marshal(c); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	tries := 0
	s.Hostname = func() (string, error) {
		if tries++; tries == 3 {
			cancel()
		}
		return "LAP-1", nil
	}
	if err := s.Call(ctx); !errors.Is(err, context.Canceled) || asked.Load() != 0 {
		t.Errorf("Call = %v after %d requests; want none", err, asked.Load())
	}
}

func TestHostKeysAreMadeOnce(t *testing.T) {
	tool, err := exec.LookPath("ssh-keygen")
	if err != nil {
		t.Skip("SKIPPED: no ssh-keygen here")
	}
	s, _ := deployed(t, func(int, job.CallHome) int { return http.StatusNoContent })
	if err := s.Keys(t.Context(), tool); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.Root, "etc/ssh/ssh_host_ed25519_key")
	first, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Keys(t.Context(), tool); err != nil {
		t.Fatal(err)
	}
	if again, err := os.ReadFile(path); err != nil || string(again) != string(first) {
		t.Errorf("the second time changed the key (%v)", err)
	}
	if err := s.Keys(t.Context(), filepath.Join(s.Root, "no-such-tool")); err != nil {
		t.Errorf("without ssh-keygen: %v", err)
	}
}
