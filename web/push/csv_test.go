package push_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/store"
	"ingot/web/push"
)

// rows reads a file as a program does that knows the standard alone.
func rows(t *testing.T, b []byte) (head []string, byID map[string]map[string]string) {
	t.Helper()
	all, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	must(t, err)
	byID = map[string]map[string]string{}
	for _, line := range all[1:] {
		r := map[string]string{}
		for i, v := range line {
			r[all[0][i]] = v
		}
		byID[r["id"]] = r
	}
	return all[0], byID
}

func TestTheCSVHoldsEachDeviceAndRunsNowhere(t *testing.T) {
	s := newSite(t)
	zero := s.laptop("0012345", func(d *store.Device) { d.Name, d.Owner = "LT-7", `Bo "the" Berg, jr.` })
	steers := s.laptop("PF3ABCDH", func(d *store.Device) { d.Model, d.Owner, d.Role = "\u202e=1", "Bo\u2028Berg", "\uff1d1" })
	s.deployed(zero.ID, "sales", 3)
	stranger := s.laptop("PF3ABCDF", func(d *store.Device) { d.State = store.New })
	evil := s.laptop("PF3ABCDG", func(d *store.Device) {
		d.Model, d.Manufacturer, d.Owner, d.Asset, d.Role = "=cmd|' /C calc'!A0", "\t=1+1", "+49 30 1", "@SUM(A1)", "-1"
		d.UUID = "a\r\n\"=x\x00\x1b[31m\xff"
	})
	var b bytes.Buffer
	must(t, s.p.WriteCSV(context.Background(), &b))
	head, got := rows(t, b.Bytes())
	if want := "id serial asset_tag name state owner manufacturer model uuid macs drives memory_gb role image imaged_at deployed_by deployment seen_at changed_at"; strings.Join(head, " ") != want {
		t.Errorf("the columns are %q; others read them by name", head)
	}
	if r := got[zero.ID]; len(got) != 3 || got[stranger.ID] != nil || r["serial"] != "0012345" || r["owner"] != `Bo "the" Berg, jr.` || r["image"] != "sales@3" || r["imaged_at"] != "2026-11-20T09:30:00Z" {
		t.Errorf("%d rows, %v", len(got), r)
	}
	for _, v := range got[evil.ID] {
		if strings.IndexAny(v, "=+-@") == 0 || strings.ContainsAny(v, "\t\r\n\x00\x1b") {
			t.Errorf("the value %q runs somewhere", v)
		}
	}
	if r := got[steers.ID]; r["model"] != "'\ufffd=1" || r["owner"] != "Bo\ufffdBerg" || r["role"] != "'\uff1d1" {
		t.Errorf("what steers is written as %q", r) // by the one rule of all sheets
	}
	if !strings.Contains(b.String(), `"0012345"`) {
		t.Error("a serial stands without quotes")
	}
}

// TestAFolderHoldsTheCSVAsItIs, whole at every moment, and says so when it cannot be written.
func TestAFolderHoldsTheCSVAsItIs(t *testing.T) {
	s, dir := newSite(t), t.TempDir()
	path := filepath.Join(dir, "devices.csv")
	s.stop()
	s.tune = func(c *push.Config) { c.Folder, c.Every = dir, 20*time.Millisecond }
	s.open()
	d := s.laptop("PF3ABCDE")
	s.run()
	until(t, "the file is there", func() bool { _, err := os.Stat(path); return err == nil })
	b, err := os.ReadFile(path)
	must(t, err)
	if _, got := rows(t, b); got[d.ID]["serial"] != "PF3ABCDE" {
		t.Errorf("%s", b)
	}
	s.become(d.ID, "set", func(d *store.Device) { d.Owner = "Bo Berg" })
	until(t, "the file tells of the change", func() bool {
		b, err := os.ReadFile(path) // there, and whole, at every moment
		must(t, err)
		_, got := rows(t, b)
		return got[d.ID]["owner"] == "Bo Berg"
	})
	s.halt()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("%d files in the folder, %v", len(left), err)
	}
	s.stop()
	s.tune = func(c *push.Config) { c.Folder = filepath.Join(dir, "gone") }
	s.open()
	s.run()
	until(t, "the fault is told", func() bool { st, err := s.p.Status(context.Background()); return err == nil && st.CSV.Fault != nil })
	st, err := s.p.Status(context.Background())
	must(t, err)
	wantCode(t, "a folder that is not there", st.CSV.Fault, job.CodeFile)
	if len(st.Trouble) != 1 || !strings.HasPrefix(st.Trouble[0], "devices.csv: ") {
		t.Errorf("the board says %q", st.Trouble)
	}
}

// TestAFolderThatHangsHoldsNobodyUp: messages go out while devices.csv cannot be written, and it is not begun twice.
func TestAFolderThatHangsHoldsNobodyUp(t *testing.T) {
	s, r, dir := newSite(t), newReceiver(t), t.TempDir()
	s.stop()
	s.tune = func(c *push.Config) { c.Folder, c.Every = dir, time.Microsecond }
	s.open()
	began, on := make(chan struct{}, 10), make(chan struct{})
	goOn := sync.OnceFunc(func() { close(on) })
	t.Cleanup(goOn)
	s.p.HoldCSV(began, on)
	s.hook("itsm", r.URL)
	s.run()
	<-began
	for _, serial := range []string{"PF3ABCDE", "PF3ABCDF"} {
		s.laptop(serial)
		s.idle("itsm")
	}
	if n := len(r.all()); n != 2 || len(began) != 0 {
		t.Errorf("while the folder hangs %d messages arrived, and the file was begun %d times more", n, len(began))
	}
	goOn()
	until(t, "the file tells of both", func() bool {
		b, err := os.ReadFile(filepath.Join(dir, "devices.csv"))
		return err == nil && strings.Contains(string(b), "PF3ABCDF")
	})
}
