package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"ingot/imaging/job"
	"ingot/pxe"
	"ingot/store"
)

// TestADaemonSaysWhatItFinds when it starts: how the one before ended, and the work that goes on.
func TestADaemonSaysWhatItFinds(t *testing.T) {
	for _, c := range []struct {
		end              string
		running, waiting int
		want             string
	}{
		{"", 0, 0, ""},
		{"", 1, 0, "<6>1 job was running; waiting for its laptop\n"},
		{"", 2, 1, "<6>2 jobs were running; waiting for their laptops\n<6>1 order waits for a laptop that has not come yet\n"},
		{"The daemon was killed.", 0, 3, "<4>The daemon was killed\n<6>3 orders wait for a laptop that has not come yet\n"},
	} {
		h, err := openHouse(config{Data: filepath.Join(t.TempDir(), "data")}, zerolog.Nop(), true)
		if err != nil {
			t.Fatal(err)
		}
		defer h.close()
		err = h.db.Update(func(tx *store.Tx) error {
			for i := range c.running + c.waiting {
				j := store.Job{ID: job.ID(fmt.Sprintf("job%d", i)), Device: fmt.Sprintf("device%d", i), State: job.Approved}
				if i < c.running {
					j.AgentKey, j.State = "sha256:key", job.Writing
				}
				if err := tx.PutJob(j); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		tellStart(h.service, zerolog.New(journal{&log}), c.end)
		if log.String() != c.want {
			t.Errorf("end %q, %d running, %d waiting: the log says\n%swant\n%s", c.end, c.running, c.waiting, &log, c.want)
		}
		trail, err := h.service.Audit(t.Context(), "server", 10)
		if err != nil || (c.end != "") != (len(trail) == 1) || c.end != "" && trail[0].Text != c.end {
			t.Errorf("end %q: the audit trail says %v, %v", c.end, trail, err)
		}
	}
}

// TestSystemsCallHomeAtTheAddressThatIsServed, unless the configuration names another.
func TestSystemsCallHomeAtTheAddressThatIsServed(t *testing.T) {
	at := func(addrs ...string) (out []pxe.Stand) {
		for i, a := range addrs {
			s := pxe.Stand{Interface: fmt.Sprintf("usb%d", i)}
			if a != "" {
				s.Addr = netip.MustParseAddr(a)
			}
			out = append(out, s)
		}
		return out
	}
	for _, c := range []struct {
		advertise string
		stands    [][]pxe.Stand
		want      string
	}{
		{"", [][]pxe.Stand{at("10.0.0.5")}, "https://10.0.0.5:8443"},
		{"", [][]pxe.Stand{at("10.0.0.5"), at("10.0.0.6")}, "https://10.0.0.6:8443"},
		{"", [][]pxe.Stand{at("", "10.0.1.5")}, "https://10.0.1.5:8443"},
		{"", [][]pxe.Stand{at("10.0.0.5"), at("")}, "https://10.0.0.5:8443"},
		{"ingot.example", [][]pxe.Stand{at("10.0.0.5")}, "https://ingot.example:8443"},
	} {
		var cfg config
		cfg.Data, cfg.Agent.Port, cfg.Agent.Advertise = filepath.Join(t.TempDir(), "data"), 8443, c.advertise
		h, err := openHouse(cfg, zerolog.Nop(), true)
		if err != nil {
			t.Fatal(err)
		}
		defer h.close()
		for _, s := range c.stands {
			h.advertise(s)
		}
		if got := h.service.Advertised(); got != c.want {
			t.Errorf("advertise %q, %v: systems call home at %s; want %s", c.advertise, c.stands, got, c.want)
		}
	}
	if !strings.Contains(standWords(at("10.0.0.5", "")), "waiting for interface usb1") {
		t.Error("an interface that is waited for is not shown")
	}
}
