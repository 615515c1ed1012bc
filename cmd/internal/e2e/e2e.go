// Package e2e holds the end-to-end cases: each starts the real daemon on a virtual bench, powers on virtual
// laptops with real firmware and looks at what a person, or the disk, would see.
//
// A case is a plain function over an Env, in the file of its group, and one row in Cases. It proves what its
// name says or fails; a case that cannot be carried out yet does not exist. Cases drive the product only from
// outside: its command line, the laptops' serial lines, their drives' bytes, the wire.
package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ingot/cmd/internal/golden"
	"ingot/cmd/internal/lab"
)

// Case is one end-to-end test.
type Case struct {
	Name  string
	About string           // what a pass proves, in one line
	Needs []golden.Flavour // golden images, made before the lab is entered
	Run   func(ctx context.Context, e *Env) error
}

// Cases lists every case, group by group.
func Cases() []Case {
	var all []Case
	for _, group := range [][]Case{
		bootCases(), networkCases(), nextServerCases(), localCases(), relayCases(), undionlyCases(), tokenCases(),
		bundleCases(),
		usbCases(),
		bootLogCases(),
		bootDoctorCases(),
		deployCases(), pageCases(), versionCases(), swapCases(), autoCases(), reimageCases(), twoCases(),
		identityCases(),
		preflightCases(),
		faultCases(),
		closedCases(), unapprovedCases(),
		renameCases(),
		captureCases(), restoreCases(),
		wipeCases(),
		serviceCases(),
		installCases(),
		inspectCases(),
		setupCases(),
		labCases(),
	} {
		all = append(all, group...)
	}
	return all
}

// Env is what a case works with. It lives as long as the case.
type Env struct {
	Bench *lab.Bench
	Dir   string // for files of this case; removed afterwards
	Cache string // kept between runs
	Bin   string // folder of the built programs
	Out   io.Writer
	Seed  uint64 // what a case draws comes from it

	start   time.Time
	runs    []*lab.Run
	daemons []*Daemon
}

// Runner carries cases out.
type Runner struct {
	Cache string
	Bin   string
	Out   io.Writer
	Keep  bool // leave the case's folder behind
	Limit time.Duration
	Seed  uint64 // of what cases draw; it is printed, and given again plays the same
}

// Run carries out one case and prints, as the last line, PASS or FAIL, the name and the seconds it took.
func (r Runner) Run(ctx context.Context, c Case) error {
	fmt.Fprintf(r.Out, "=== %s: %s\n", c.Name, c.About)
	start := time.Now()
	err := r.inWorkspace(ctx, c.Name, c.Run)
	seconds := int(time.Since(start).Seconds() + 0.5)
	if err != nil {
		fmt.Fprintf(r.Out, "%v\nFAIL %s %d\n", err, c.Name, seconds)
		return fmt.Errorf("case %s failed", c.Name)
	}
	fmt.Fprintf(r.Out, "PASS %s %d\n", c.Name, seconds)
	return nil
}

// inWorkspace makes the bench and the folder, runs fn and clears up, whatever happened.
func (r Runner) inWorkspace(ctx context.Context, name string, fn func(context.Context, *Env) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, r.Limit)
	defer cancel()
	ws, err := lab.NewWorkspace(filepath.Join(r.Cache, "runs"))
	if err != nil {
		return fmt.Errorf("make a folder for %s: %w", name, err)
	}
	if !r.Keep {
		defer func() { err = errors.Join(err, ws.Close()) }()
	} else {
		fmt.Fprintf(r.Out, "keeping %s\n", ws.Dir)
	}
	bench, err := lab.NewBench(ctx, ws.Dir)
	if err != nil {
		return err
	}
	e := &Env{Bench: bench, Dir: ws.Dir, Cache: r.Cache, Bin: r.Bin, Out: r.Out, Seed: r.Seed, start: time.Now()}
	defer func() { err = errors.Join(err, e.stopDaemons(), bench.Close()) }()
	if err := fn(ctx, e); err != nil {
		e.explain()
		return err
	}
	return nil
}

// explain prints what a person needs to see why a case failed.
func (e *Env) explain() {
	logs, err := filepath.Glob(filepath.Join(e.Dir, "*.log"))
	if err != nil {
		return
	}
	for i, r := range e.runs {
		fmt.Fprintf(e.Out, "--- console of start %d, last lines\n%s\n", i+1, r.Console.Tail(25))
	}
	for _, path := range logs {
		data, err := os.ReadFile(path)
		if err != nil || len(data) == 0 || strings.Contains(path, "-console-") {
			continue
		}
		lines := strings.Split(strings.TrimSpace(string(data)), "\n")
		fmt.Fprintf(e.Out, "--- %s, last lines\n%s\n", filepath.Base(path), strings.Join(lines[max(0, len(lines)-40):], "\n"))
	}
}

// Say reports a step with the seconds since the case began.
func (e *Env) Say(format string, args ...any) {
	fmt.Fprintf(e.Out, "[%4.0f s] %s\n", time.Since(e.start).Seconds(), fmt.Sprintf(format, args...))
}

// PowerOn fits the laptop, if this is its first start, and presses its power button.
func (e *Env) PowerOn(ctx context.Context, l *lab.Laptop) (*lab.Run, error) {
	if !l.Fitted() {
		if err := e.Bench.Fit(ctx, l); err != nil {
			return nil, err
		}
	}
	e.Say("power on %s (%s, %s)", l.Name, l.Firmware, l.Serial)
	r, err := l.PowerOn(ctx)
	if err == nil {
		e.runs = append(e.runs, r)
	}
	return r, err
}

// Golden returns the path of a golden image that the case needs.
func (e *Env) Golden(ctx context.Context, f golden.Flavour) (string, error) {
	return goldenBuilder(e.Cache, e.Out).Image(ctx, f)
}

func goldenBuilder(cache string, out io.Writer) golden.Builder {
	return golden.Builder{Cache: filepath.Join(cache, "golden"), Progress: out}
}

// Prepare makes what the cases need from the network. It runs before the lab is entered: from inside there is
// no way out.
func Prepare(ctx context.Context, cache, bin string, out io.Writer, cases []Case) error {
	if slices.ContainsFunc(cases, needsBundle) {
		if err := prepareBundle(ctx, cache, bin, out); err != nil {
			return err
		}
	}
	for _, c := range cases {
		for _, f := range c.Needs {
			if _, err := goldenBuilder(cache, out).Image(ctx, f); err != nil {
				return err
			}
		}
	}
	return nil
}
