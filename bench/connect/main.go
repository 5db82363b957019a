// SPDX-License-Identifier: Apache-2.0

// Command connect measures Parley's unix and tcp transports beside Go's own
// net, between two processes, by message size: round trip, one-way
// throughput, and the CPU time that both processes spend.
//
// Both processes serve all subjects at once, and each round measures every
// subject, in an order that turns. Figures are medians over rounds. A ratio
// is the median of the rounds' own ratios, so that what disturbs the machine
// for a while disturbs both sides of it.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// options are the command line.
type options struct {
	rounds int
	batch  time.Duration
	sizes  []int
	json   bool
	plot   string
}

func main() {
	if role := os.Getenv(serveEnv); role != "" {
		exit(serve(context.Background(), role))
	}
	var o options
	sizes := flag.String("sizes", "64,1024,65536,1048576", "message sizes in bytes")
	flag.IntVar(&o.rounds, "rounds", 31, "rounds; each measures every subject once")
	flag.DurationVar(&o.batch, "batch", 30*time.Millisecond, "about how long one measurement lasts")
	flag.BoolVar(&o.json, "json", false, "print JSON instead of a table")
	flag.StringVar(&o.plot, "plot", "", "also draw the ratios into this SVG file")
	flag.Parse()
	for _, s := range strings.Split(*sizes, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n < 1 {
			exit(fmt.Errorf("-sizes: %q is no size: write bytes, such as 64,1024", s))
		}
		o.sizes = append(o.sizes, n)
	}
	exit(run(context.Background(), o))
}

func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "parley-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	server, err := startServer(dir)
	if err != nil {
		return err
	}
	defer server.stop()
	report := Report{Machine: describe(), Rounds: o.rounds}
	for _, mode := range []mode{roundTrip, oneWay} {
		for _, size := range o.sizes {
			rows, err := compare(ctx, server.addresses, mode, size, o)
			if err != nil {
				return fmt.Errorf("%s, %d bytes: %w", mode, size, err)
			}
			report.Rows = append(report.Rows, rows...)
		}
	}
	if o.plot != "" {
		if err := plot(o.plot, report); err != nil {
			return err
		}
	}
	if o.json {
		return json.NewEncoder(os.Stdout).Encode(report)
	}
	return report.print(os.Stdout)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "connect:", err)
		os.Exit(1)
	}
	os.Exit(0)
}
