package benchmark

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"ingot/cmd/internal/e2e"
	"ingot/cmd/internal/lab"
	"ingot/cmd/internal/site"
	"ingot/imaging/job"
	"ingot/store"
)

// The goals of the pages, as the project states them.
const (
	boardLaptops = 60
	openBoards   = 20
	boardsFor    = 30 * time.Second
	pageEvery    = 100 * time.Millisecond
	goalPage     = 150 // ms, of 99 in 100 pages
	goalLag      = 1.0 // s, of each report on each board
	goalHouse    = 200 // MB
	goalCore     = 0.5 // of one processor
)

// boards measures what people see while many laptops work: each laptop reports once a second, the boards are open, and
// somebody goes through the pages. The server's record is of years, see age.
func (m *measurement) boards(ctx context.Context, d *e2e.Daemon) error {
	f, err := gather(ctx, d, 20_000, boardLaptops, diskSize)
	if err != nil {
		return err
	}
	defer f.close()
	if _, err := f.adopt(ctx, "boards", imageName); err != nil {
		return err
	}
	if err := f.order(ctx, f.laptops, imageName); err != nil {
		return err
	}
	s := &site.Site{Daemon: d, Pages: "https://" + lab.ServerIP}
	link, err := s.Link(ctx, "bea", store.Technician)
	if err != nil {
		return err
	}
	bea, err := site.Visitor(ctx, s.Pages, link, "bea")
	if err != nil {
		return err
	}
	defer bea.CloseIdleConnections()
	c := &audience{pages: s.Pages, bea: bea, sent: map[string]time.Time{}}
	before, err := look(d.Proc.Pid())
	if err != nil {
		return err
	}
	daemon, start := watch(d.Proc.Pid()), time.Now()
	err = c.run(ctx, f.laptops)
	took, wall := daemon(), time.Since(start).Seconds()
	if err != nil {
		return err
	}
	what := fmt.Sprintf("%d laptops, %d boards", boardLaptops, openBoards)
	m.add(row{work: "a page, 99 in 100, " + what, got: percentile(c.pageTimes, 99), unit: "ms", goal: goalPage, remark: fmt.Sprintf("%d pages; median %.0f ms; beside %d jobs and %d events of before", len(c.pageTimes), median(c.pageTimes), oldDevices*oldJobs, oldDevices*oldEvents)})
	m.add(row{work: "a report until a board shows it, the longest", got: percentile(c.lags, 100), unit: "s", goal: goalLag, remark: fmt.Sprintf("%d of %d shown; median %.2f s", len(c.lags), c.reports*openBoards, median(c.lags))})
	m.add(row{work: "daemon's memory, " + what, got: mb(took.anon), unit: "MB", goal: goalHouse, remark: fmt.Sprintf("RssAnon, peak; VmHWM %.0f MB", mb(took.high))})
	m.add(row{work: "daemon's processor, " + what, got: (took.cpu - before.cpu) / wall, unit: "cores", goal: goalCore})
	return nil
}

// audience are laptops that report and people who look. What a laptop reports is a rate that it never had before, so that a
// board's tile says which report it shows.
type audience struct {
	pages string
	bea   *http.Client

	mu        sync.Mutex
	sent      map[string]time.Time // device and rate -> when the report left
	reports   int
	pageTimes []float64 // milliseconds
	lags      []float64 // seconds
}

func (c *audience) run(ctx context.Context, laptops []*member) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	g, ctx := errgroup.WithContext(ctx)
	open := make(chan struct{}, openBoards)
	for range openBoards {
		g.Go(func() error { return c.board(ctx, open) })
	}
	g.Go(func() error {
		for range openBoards { // a board that is not open yet can show nothing
			select {
			case <-open:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		work, ctx := errgroup.WithContext(ctx)
		for i, m := range laptops {
			work.Go(func() error {
				time.Sleep(time.Second * time.Duration(i) / time.Duration(len(laptops))) // as laptops that were switched on one by one
				return c.report(ctx, m)
			})
		}
		work.Go(func() error { return c.browse(ctx, laptops) })
		err := work.Wait()
		time.Sleep(2 * time.Second) // the last report may still travel
		stop(errEnough)
		return err
	})
	if err := g.Wait(); err != nil && !errors.Is(err, errEnough) {
		return err
	}
	if len(c.lags) != c.reports*openBoards { // one that never stood on a board has no lag: the longest would say nothing
		return fmt.Errorf("%d reports on %d boards, and only %d were shown", c.reports, openBoards, len(c.lags))
	}
	return nil
}

// report is one laptop that writes: once a second it says how far it is.
func (c *audience) report(ctx context.Context, m *member) error {
	j, err := m.order(ctx)
	if err != nil {
		return err
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 1; n <= int(boardsFor/time.Second); n++ {
		p := job.Progress{Phase: "writing", TotalBytes: diskSize, DoneBytes: uint64(n) * diskSize / 100, FetchedBytes: uint64(n) * 1e8, BytesPerSec: uint64(100+n) * 1e6, SecondsLeft: 100 - n}
		c.mu.Lock()
		c.sent[shownAs(m.device, 100+n)] = time.Now()
		c.reports++
		c.mu.Unlock()
		if _, err := m.client.Progress(ctx, j.ID, p); err != nil {
			return fmt.Errorf("report of %s: %w", m.serial, ending(ctx, err))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func shownAs(device string, rate int) string { return device + " " + strconv.Itoa(rate) }

// board follows the board as an open page does.
func (c *audience) board(ctx context.Context, open chan<- struct{}) error {
	resp, err := c.get(ctx, "/live")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 4<<20)
	shown, first := map[string]bool{}, true
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok || data == "0" { // a beat
			continue
		}
		now := time.Now()
		var v struct {
			Tiles []struct{ ID, Rate string }
		}
		if err := json.Unmarshal([]byte(data), &v); err != nil {
			return fmt.Errorf("a board's event %.300q: %w", data, err)
		}
		if first {
			first = false
			open <- struct{}{}
		}
		c.mu.Lock()
		for _, t := range v.Tiles {
			number, _, _ := strings.Cut(t.Rate, " ")
			rate, err := strconv.Atoi(number)
			key := shownAs(t.ID, rate)
			if sent, ok := c.sent[key]; err == nil && ok && !shown[key] {
				shown[key] = true
				c.lags = append(c.lags, now.Sub(sent).Seconds())
			}
		}
		c.mu.Unlock()
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("a board's stream ended: %w", lines.Err())
}

// browse goes through the pages.
func (c *audience) browse(ctx context.Context, laptops []*member) error {
	paths := []string{"/", "/devices", "/jobs", "/images", "/devices/" + url.PathEscape(laptops[0].device), "/devices?q=" + url.QueryEscape("image:"+imageName), "/scan", "/reports"}
	tick := time.NewTicker(pageEvery)
	defer tick.Stop()
	for n := 0; n < int(boardsFor/pageEvery); n++ {
		start := time.Now()
		resp, err := c.get(ctx, paths[n%len(paths)])
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err != nil {
			return ending(ctx, err)
		}
		c.mu.Lock()
		c.pageTimes = append(c.pageTimes, time.Since(start).Seconds()*1000)
		c.mu.Unlock()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (c *audience) get(ctx context.Context, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.pages+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.bea.Do(req)
	if err != nil {
		return nil, ending(ctx, err)
	}
	if resp.StatusCode != http.StatusOK || resp.Request.URL.Path != req.URL.Path {
		resp.Body.Close()
		return nil, fmt.Errorf("%s: %s at %s", path, resp.Status, resp.Request.URL.Path)
	}
	return resp, nil
}
