package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"time"

	"ingot/cmd/internal/benchmark"
	"ingot/cmd/internal/lab"
)

// benchLimit is far more than the whole benchmark takes on two processors.
const benchLimit = 2 * time.Hour

// bench measures Ingot beside its peers and prints one table.
func bench(ctx context.Context, cache string, args []string, out io.Writer) (int, error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	set := flags.String("set", string(benchmark.Office), "how much the disk holds: office, or small for a slow mirror")
	rounds := flags.Int("rounds", 3, "how often each contestant runs")
	quick := flags.Bool("quick", false, "without the 8 million extents and 10 million chunks")
	dedup := flags.Bool("dedup", false, "only what the next version of the disk adds to the store, and the time of a capture")
	boards := flags.Bool("boards", false, "only the pages and boards that people look at while laptops work")
	keep := flags.Bool("keep", false, "leave the folder with all logs behind")
	if err := flags.Parse(args); err != nil {
		return 2, err
	}
	if flags.NArg() > 0 || *rounds < 1 {
		return 2, fmt.Errorf("bench takes no arguments, and at least one round")
	}
	o := benchmark.Options{Set: benchmark.Set(*set), Rounds: *rounds, Quick: *quick, Dedup: *dedup, Boards: *boards}
	runner, err := newRunner(cache, out)
	if err != nil {
		return 1, err
	}
	runner.Keep, runner.Limit = *keep, benchLimit
	if !lab.Inside() {
		if err := benchmark.Prepare(ctx, cache, runner.Bin, o, out); err != nil {
			return 1, err
		}
	}
	if code, ran, err := lab.Enter(); ran || err != nil {
		return code, err
	}
	if err := runner.Run(ctx, benchmark.Case(o)); err != nil {
		return 1, err
	}
	return 0, nil
}
