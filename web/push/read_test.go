package push_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"ingot/store"
	"ingot/web/push"
)

// damage makes a record unreadable, as a failing disk does, and gives what makes it whole again. Nothing runs meanwhile.
func (s *site) damage(bucket, key string) (mend func()) {
	s.t.Helper()
	var whole []byte
	write := func(f func(old []byte) []byte) {
		db, err := bbolt.Open(s.path, 0o600, &bbolt.Options{Timeout: time.Second})
		must(s.t, err)
		must(s.t, db.Update(func(tx *bbolt.Tx) error {
			b := tx.Bucket([]byte(bucket))
			old := b.Get([]byte(key))
			if old == nil {
				s.t.Fatalf("no record %s/%s", bucket, key)
			}
			return b.Put([]byte(key), f(append([]byte(nil), old...)))
		}))
		must(s.t, db.Close())
	}
	write(func(old []byte) []byte { whole = old; return old[:len(old)-2] })
	return func() { write(func([]byte) []byte { return whole }) }
}

// trouble is what the board says, all of it.
func (s *site) trouble() string {
	s.t.Helper()
	lines, err := s.p.Trouble(context.Background())
	must(s.t, err)
	return strings.Join(lines, "\n")
}

func (s *site) event(act, subject string) {
	s.t.Helper()
	s.update(func(tx *store.Tx) error { return tx.Audit("anna", act, subject, "") })
}

// TestARecordThatCannotBeReadStopsWhoNeedsIt, and tells so: the others are told what happens, and when it is whole again
// nothing was lost.
func TestARecordThatCannotBeReadStopsWhoNeedsIt(t *testing.T) {
	s, r, dir := newSite(t), newStandIn(t), t.TempDir()
	devices, versions := newReceiver(t), newReceiver(t)
	s.tune = func(c *push.Config) { c.Folder, c.Every = dir, 10*time.Millisecond }
	s.stop()
	s.open()
	id := r.add(thing{tag: "00815", serial: "PF3ABCDE"})
	d := s.laptop("PF3ABCDE")
	s.deployed(d.ID, "sales", 3)
	s.hook("devices", devices.URL, "device.*")
	s.hook("versions", versions.URL, "version.*")
	s.register(r)
	s.stop()
	mend := s.damage("deployments", "dep"+d.ID)
	s.open()
	s.event("set", d.ID)
	s.event("release", "sales@3")
	s.run()
	until(t, "those who do not need it are told", func() bool { return len(versions.all()) == 1 && s.target("versions").Unread == 0 })
	until(t, "the others' stand tells of it", func() bool { return s.target("devices").Broken != nil })
	until(t, "the file's fault is told", func() bool { return strings.Contains(s.trouble(), "devices.csv: ") })
	if got := s.trouble(); !strings.Contains(got, "devices: it is told nothing new.") || !strings.Contains(got, "dep"+d.ID) || strings.Contains(got, "versions:") {
		t.Errorf("the board says %q", got)
	}
	if v := s.target("devices"); v.Fault == nil || v.Unread == 0 || len(devices.all()) != 0 {
		t.Errorf("the stand is %+v", v)
	}
	before := s.target("devices").Failed
	s.event("release", "sales@3")
	until(t, "they are told further", func() bool { return len(versions.all()) == 2 })
	if after := s.target("devices").Failed; !after.Equal(before) {
		t.Errorf("the same fault is written again and again: %s, %s", before, after)
	}
	s.stop()
	mend()
	s.open()
	s.run()
	s.idle("devices")
	_, err := s.p.Retry(context.Background(), "anna", store.PushRetry{Target: "snipe"})
	must(t, err)
	s.idle("snipe")
	until(t, "the file is written", func() bool { _, err := os.Stat(filepath.Join(dir, "devices.csv")); return err == nil })
	until(t, "nothing is in trouble", func() bool { return s.trouble() == "" })
	if v := s.target("devices"); v.Broken != nil || v.Fault != nil || len(devices.all()) == 0 || r.get(id).custom["_snipeit_image_4"] != "sales@3" {
		t.Errorf("whole again: %+v, %d messages", v, len(devices.all()))
	}
}

// TestATargetThatCannotBeReadIsTold by its name, and stops no other.
func TestATargetThatCannotBeReadIsTold(t *testing.T) {
	for _, bucket := range []string{"push-targets", "push-stands"} {
		s, good, bad := newSite(t), newReceiver(t), newReceiver(t)
		s.hook("bad", bad.URL, "device.*")
		s.hook("good", good.URL, "device.*")
		s.stop()
		s.damage(bucket, "bad")
		s.open()
		s.run()
		s.laptop("PF3ABCDE")
		until(t, "the other is told", func() bool { return len(good.all()) == 1 })
		st, err := s.p.Status(context.Background())
		must(t, err)
		if len(st.Targets) != 2 || st.Targets[0].Name != "bad" || st.Targets[0].Broken == nil || len(st.Trouble) != 1 || !strings.HasPrefix(st.Trouble[0], "bad: ") || len(bad.all()) != 0 {
			t.Errorf("%s: %+v, %q", bucket, st.Targets, st.Trouble)
		}
	}
}
