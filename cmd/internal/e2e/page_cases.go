package e2e

import (
	"context"
	"errors"
	"fmt"
	neturl "net/url"
	"path/filepath"
	"strings"
	"time"

	"ingot/cmd/internal/browser"
	"ingot/cmd/internal/golden"
	"ingot/cmd/internal/lab"
	"ingot/cmd/internal/simlaptop"
	"ingot/imaging/job"
	"ingot/store"
	"ingot/web"
)

// pageCases prove the work of somebody who has the page, a scanner, and nothing else.
func pageCases() []Case {
	return []Case{{"page", "a Secure Boot laptop by the page alone: its sticker scanned, one button, done, its receipt; then 20 simulated laptops by 20 scans and at most 2 clicks", needPlain, pageAlone}}
}

const (
	pagesAt    = "https://" + lab.ServerIP
	pageSims   = 20
	pageClicks = 2 // that the twenty may take
)

func pageAlone(ctx context.Context, e *Env) (err error) {
	d, err := startBench(ctx, e)
	if err != nil {
		return err
	}
	v, err := importGolden(ctx, e, d, golden.Plain)
	if err != nil {
		return err
	}
	if err := d.Do(ctx, cmd("role add sales --image sales --names LT-{serial:-4}")); err != nil {
		return err
	}
	b, err := browser.Start(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	tab, err := pagePerson(ctx, d, b, "anna")
	if err != nil {
		return err
	}
	defer tab.Close()
	if err := pageDeploysOne(ctx, e, d, tab, v); err != nil {
		return err
	}
	if err := pageDeploysMany(ctx, e, d, tab); err != nil {
		return err
	}
	if odd := tab.Odd(); len(odd) > 0 {
		return fmt.Errorf("what nobody saw: %q", odd)
	}
	return nil
}

// pagePerson lets a technician in, who sits at the pages then.
func pagePerson(ctx context.Context, d *Daemon, b *browser.Browser, name string) (*browser.Tab, error) {
	var got store.OperatorLink
	if err := d.Read(ctx, &got, "operator", "add", name, "--right", string(store.Technician)); err != nil {
		return nil, err
	}
	link, err := neturl.Parse(got.Link)
	if err != nil {
		return nil, fmt.Errorf("the link %q: %w", got.Link, err)
	}
	t, err := b.Tab(pagesAt)
	if err != nil {
		return nil, err
	}
	if err := t.SetUp(link.Path, name, "correct battery horse"); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// pageDeploysOne takes a laptop with firmware from its sticker to its receipt.
func pageDeploysOne(ctx context.Context, e *Env, d *Daemon, tab *browser.Tab, v store.Version) error {
	l := Laptop(1, lab.SecureBoot, lab.NVMe)
	r, _, err := showsCode(ctx, e, l)
	if err != nil {
		return err
	}
	name := "LT-" + l.Serial[len(l.Serial)-4:]
	if err := inOrder(
		func() error { return tab.Open("/scan?role=sales") },
		func() error { return tab.Scan(l.Serial) },
		func() error { return tab.Sees("adopted") },
		func() error { return tab.Open("/") },
		func() error { return tab.Sees("Start " + name) },
		func() error { return tab.Go(".needs form button") },
	); err != nil {
		return err
	}
	scans, clicks, keys := tab.Scans, tab.Clicks, tab.Keys
	dev, err := d.device(ctx, l.Serial)
	if err != nil {
		return err
	}
	if dev.Job == nil || dev.Job.Operator != "anna" {
		return fmt.Errorf("the press ordered nothing: %+v", dev.Job)
	}
	e.Say("%d scan, %d click, %d keys; job %s", scans, clicks, keys, dev.Job.ID)
	if err := tab.Open("/"); err != nil {
		return err
	}
	if dev, err = deployedAs(ctx, e, d, r, dev.Job.ID, l, v, name); err != nil {
		return err
	}
	if err := r.Kill(); err != nil {
		return err
	}
	if err := tab.Wait("done on the board", `document.querySelector(".tile.green")?.innerText.includes("done")`); err != nil {
		return err
	}
	if err := inOrder(
		func() error { return tab.Go(".tile.green a") },
		func() error { return tab.Go(`a[href^="/receipts/"]`) },
	); err != nil {
		return err
	}
	return errors.Join(pageReceipt(tab, dev), same("scans", scans, 1), same("clicks", clicks, 1), same("keys", keys, 0))
}

// pageReceipt holds the receipt that is open against the record.
func pageReceipt(tab *browser.Tab, dev store.DeviceView) error {
	text, err := tab.Text("main")
	if err != nil {
		return err
	}
	for _, want := range []string{"the audit trail has the event by which it was recorded", dev.Name, dev.Serial, dev.Holds.Image.String(), "anna", dev.Holds.ID} {
		if !strings.Contains(text, want) {
			return fmt.Errorf("the receipt of %s does not say %q: %.800q", dev.Serial, want, text)
		}
	}
	return nil
}

// pageDeploysMany scans twenty laptops that speak the agent's protocol, and looks at twenty receipts.
func pageDeploysMany(ctx context.Context, e *Env, d *Daemon, tab *browser.Tab) error {
	g := simlaptop.Golden{Payload: 1 << 20}
	file := filepath.Join(e.Dir, "small.raw")
	if err := g.Make(ctx, file); err != nil {
		return err
	}
	if err := d.Do(ctx, []string{"image", "import", file, "--image", "small", "--label", "one", "--note", "made by the lab", "--release"},
		cmd("role add small --image small --names SIM-{serial:-4}")); err != nil {
		return err
	}
	status, err := Ask[web.Status](ctx, d, "daemon")
	if err != nil {
		return err
	}
	at := simlaptop.Server{URL: fmt.Sprintf("https://127.0.0.1:%d", status.AgentPort), Pin: job.KeyID(status.Pin)}
	all, err := simlaptop.Fleet(e.Dir, 1, pageSims, g.DiskSize())
	if err != nil {
		return err
	}
	for _, l := range all {
		r, err := l.PowerOn(at)
		if err != nil {
			return err
		}
		defer r.PullPlug()
		if _, err := r.Code(ctx); err != nil {
			return err
		}
	}
	tab.Scans, tab.Clicks, tab.Keys = 0, 0, 0
	begun := time.Now()
	if err := inOrder(func() error { return tab.Open("/scan") }, func() error { return tab.Go(`a[href^="/scan?role=small"]`) }); err != nil {
		return err
	}
	for _, l := range all {
		if err := tab.Scan(l.Serial()); err != nil {
			return err
		}
	}
	done := make([]store.DeviceView, len(all))
	for i, l := range all {
		if done[i], err = d.waitDeployed(ctx, l.Serial()); err != nil {
			return err
		}
	}
	for _, dev := range done {
		if err := inOrder(func() error { return tab.Open("/receipts/" + dev.Holds.ID) }, func() error { return pageReceipt(tab, dev) }); err != nil {
			return err
		}
	}
	e.Say("%d laptops in %.0f s: %d scans, %d clicks, %d keys; %d receipts hold", pageSims, time.Since(begun).Seconds(), tab.Scans, tab.Clicks, tab.Keys, pageSims)
	return checks(same("scans", tab.Scans, pageSims), that(tab.Clicks <= pageClicks, "%d clicks; want at most %d", tab.Clicks, pageClicks), same("keys", tab.Keys, 0))
}

// waitDeployed waits until a device has received what was ordered.
func (d *Daemon) waitDeployed(ctx context.Context, serial string) (store.DeviceView, error) {
	for {
		dev, err := d.device(ctx, serial)
		switch {
		case err != nil:
			return dev, err
		case dev.State == store.Deployed && dev.Holds != nil:
			return dev, nil
		case dev.State == store.Failed:
			return dev, fmt.Errorf("%s failed: %+v", serial, dev.Job)
		}
		if err := pause(ctx, "the deploy of "+serial); err != nil {
			return dev, err
		}
	}
}

// inOrder takes steps until one fails.
func inOrder(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
