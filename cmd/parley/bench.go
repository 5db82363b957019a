// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/internal/measure"
)

func benchVerb(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "bench",
		Short:   "Measure what this machine gives",
		Example: "  parley bench connect shm unix",
	}
	cmd.AddCommand(benchConnectVerb(a), benchTopicVerb(a), benchRPCVerb(a))
	return cmd
}

// benchOptions are the flags of bench connect.
type benchOptions struct {
	schemes  []endpoint.Scheme
	sizes    []int
	duration time.Duration
	rounds   int
	spin     string
	plot     string
}

func benchConnectVerb(a *app) *cobra.Command {
	var o benchOptions
	cmd := &cobra.Command{
		Use:   "connect [SCHEME…]",
		Short: "Measure the transports between two processes",
		Long: `Measures round trips and one-way throughput between two processes by message
size: while both are awake, and after both have slept, with the processor time
that both spend on a message (spinning included). Without a SCHEME it takes all.

Each round measures every transport in turn, and figures are medians over the
rounds, so that what disturbs the machine disturbs them all. --duration bounds
one cell: all rounds of one transport at one size. bench/ compares with Go's net.`,
		Example: `  parley bench connect
  parley bench connect shm unix --spin off --size 64,4096
  parley bench connect --plot connect.svg --duration 2s`,
		Args: func(_ *cobra.Command, args []string) (err error) {
			o.schemes, err = benchSchemes(args)
			return err
		},
		ValidArgs: []string{"inproc", "shm", "unix", "tcp", "tls", "fifo", "exec"},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(); err != nil {
				return err
			}
			return a.bench(cmd.Context(), o, len(args) > 0)
		},
	}
	f := cmd.Flags()
	f.IntSliceVar(&o.sizes, "size", []int{64, 1 << 10, 64 << 10, 1 << 20}, "message sizes in bytes")
	f.DurationVar(&o.duration, "duration", 400*time.Millisecond, "about how long one cell takes")
	f.IntVar(&o.rounds, "rounds", 5, "rounds that share the duration")
	f.StringVar(&o.spin, "spin", "auto", "shm: auto, off or always: whether to burn CPU while waiting")
	f.StringVar(&o.plot, "plot", "", "also draw the figures into this SVG file")
	return cmd
}

// benchable are the schemes that have two sides to start.
func benchable() []endpoint.Scheme {
	return slices.DeleteFunc(endpoint.Schemes(), func(s endpoint.Scheme) bool { return s == endpoint.Stdio })
}

func benchSchemes(args []string) ([]endpoint.Scheme, error) {
	if len(args) == 0 {
		return benchable(), nil
	}
	var schemes []endpoint.Scheme
	for _, arg := range args {
		s := endpoint.Scheme(strings.TrimRight(arg, ":/"))
		if !slices.Contains(benchable(), s) {
			return nil, usageError{fmt.Errorf("%q is no scheme to measure: choose from %v", arg, benchable())}
		}
		if !slices.Contains(schemes, s) {
			schemes = append(schemes, s)
		}
	}
	return schemes, nil
}

func (o benchOptions) check() error {
	var errs []error
	for _, size := range o.sizes {
		if size < 1 || size > measure.MaxSize {
			errs = append(errs, fmt.Errorf("--size %d: from 1 to %d bytes", size, measure.MaxSize))
		}
	}
	if o.duration <= 0 || o.rounds < 1 || len(o.sizes) == 0 {
		errs = append(errs, errors.New("--duration, --rounds and --size have to be more than nothing"))
	}
	if err := errors.Join(errs...); err != nil {
		return usageError{err}
	}
	return nil
}
