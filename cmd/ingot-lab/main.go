// Ingot-lab runs the end-to-end cases and the demonstration on virtual laptops.
//
// Synopsis:
//
//	ingot-lab list                 name the cases
//	ingot-lab e2e [--keep] [--seed N] CASE...
//	                               carry cases out ("all" for every one)
//	ingot-lab demo                 the main job, told as it happens
//	ingot-lab bench [--set small] [--rounds N] [--quick] [--dedup]
//	                               measure Ingot beside its peers and print one table
//	ingot-lab golden [FLAVOUR]     build a golden image and print its path
//
// It runs as root, in network, mount and process namespaces of its own: nothing of the host's network is
// touched, and nothing is left running, however it ends. The programs under test are looked for in its own
// folder. What is dear to make is kept in ${XDG_CACHE_HOME:-~/.cache}/ingot.
//
// The last line of each case is "PASS name seconds" or "FAIL name seconds"; any failure makes the exit code 1.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"ingot/cmd/internal/benchmark"
	"ingot/cmd/internal/e2e"
	"ingot/cmd/internal/golden"
	"ingot/cmd/internal/lab"
)

var errUsage = errors.New("say what to do: list, demo, e2e, bench or golden")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	code, err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "ingot-lab:", err)
	}
	os.Exit(code)
}

func run(ctx context.Context, args []string, out io.Writer) (int, error) {
	if len(args) == 0 {
		return 2, errUsage
	}
	cache, err := lab.CacheDir()
	if err != nil {
		return 1, err
	}
	switch args[0] {
	case "list":
		for _, c := range e2e.Cases() {
			fmt.Fprintf(out, "%-24s %s\n", c.Name, c.About)
		}
	case "golden":
		err = goldenImage(ctx, cache, args[1:], out)
	case "e2e", "demo":
		return cases(ctx, cache, args, out)
	case "bench":
		return bench(ctx, cache, args[1:], out)
	case benchmark.LaptopCommand: // the benchmark starts its laptop this way
		err = benchmark.Laptop(ctx, args[1:], out)
	default:
		return 2, errUsage
	}
	if err != nil {
		return 1, err
	}
	return 0, nil
}

func goldenImage(ctx context.Context, cache string, args []string, out io.Writer) error {
	flavour := golden.Plain
	if len(args) > 0 {
		flavour = golden.Flavour(args[0])
	}
	path, err := golden.Builder{Cache: filepath.Join(cache, "golden"), Progress: out}.Image(ctx, flavour)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, path)
	return nil
}

// cases carries the named cases out, one after another, and goes on after a failed one. What they need from
// the network is made first, outside the lab.
func cases(ctx context.Context, cache string, args []string, out io.Writer) (int, error) {
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	keep := flags.Bool("keep", false, "leave the case's folder behind")
	limit := flags.Duration("limit", 40*time.Minute, "longest time of one case")
	seed := flags.Uint64("seed", uint64(time.Now().UnixNano())%1_000_000, "seed of what cases draw, as an earlier run printed it")
	if err := flags.Parse(args[1:]); err != nil {
		return 2, err
	}
	chosen := []e2e.Case{e2e.Demo()}
	if args[0] == "e2e" {
		var err error
		if chosen, err = choose(flags.Args()); err != nil {
			return 2, err
		}
	}
	runner, err := newRunner(cache, out)
	if err != nil {
		return 1, err
	}
	runner.Keep, runner.Limit, runner.Seed = *keep, *limit, *seed
	if !lab.Inside() {
		if err := e2e.Prepare(ctx, cache, runner.Bin, out, chosen); err != nil {
			return 1, err
		}
	}
	if e2e.NeedNetwork(chosen) {
		stop, err := lab.OpenGateway()
		if err != nil {
			return 1, err
		}
		defer stop()
	}
	if code, ran, err := lab.Enter(); ran || err != nil {
		return code, err
	}
	failed := 0
	for _, c := range chosen {
		if ctx.Err() != nil {
			return 1, ctx.Err()
		}
		if err := runner.Run(ctx, c); err != nil {
			failed++
		}
	}
	if failed > 0 {
		return 1, fmt.Errorf("%d of %d cases failed", failed, len(chosen))
	}
	return 0, nil
}

func newRunner(cache string, out io.Writer) (e2e.Runner, error) {
	self, err := os.Executable()
	if err != nil {
		return e2e.Runner{}, err
	}
	return e2e.Runner{Cache: cache, Bin: filepath.Dir(self), Out: out}, nil
}

func choose(names []string) ([]e2e.Case, error) {
	all := e2e.Cases()
	if slices.Contains(names, "all") {
		return all, nil
	}
	if len(names) == 0 {
		return nil, errors.New("name a case, or all; \"ingot-lab list\" names them")
	}
	var chosen []e2e.Case
	for _, name := range names {
		i := slices.IndexFunc(all, func(c e2e.Case) bool { return c.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no case %q; \"ingot-lab list\" names them", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}
