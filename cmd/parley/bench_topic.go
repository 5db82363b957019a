// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-ipc/parley/internal/measure"
	"github.com/parley-ipc/parley/internal/peer"
	"github.com/parley-ipc/parley/topic"
)

// How bench topic publishes.
const (
	topicBatch  = "batch"
	topicSingle = "single"
	topicLoan   = "loan"
)

var topicModes = []string{topicBatch, topicSingle, topicLoan}

// topicBenchOptions are the flags of bench topic.
type topicBenchOptions struct {
	modes    []string
	sizes    []int
	readers  int
	batch    int
	ring     int
	duration time.Duration
	rounds   int
	policy   string

	terms topic.Policy
}

func benchTopicVerb(a *app) *cobra.Command {
	var o topicBenchOptions
	cmd := &cobra.Command{
		Use:   "topic [MODE…]",
		Short: "Measure a topic in shared memory, from one process to several",
		Long: `Measures how fast one process publishes to --readers others on a topic of an
engine in shared memory (mem://), by the size of an item:

  batch   --batch items in one call; subscribers take up to 64 at once
  single  one item in a call
  loan    written and read in place: only eight bytes of an item are touched

Without a MODE it takes all. Under --policy reliable (the default) nothing is
lost and the publisher waits; under lossy and latest it does not, and what each
reader received is shown beside it. Figures are medians over the rounds; CPU is
of all processes, for one item published.`,
		Example: `  parley bench topic
  parley bench topic batch --size 64 --readers 4 --duration 2s
  parley bench topic loan --size 1048576`,
		ValidArgs: topicModes,
		Args: func(_ *cobra.Command, args []string) error {
			for _, mode := range args {
				if !slices.Contains(topicModes, mode) {
					return usageError{fmt.Errorf("%q is no mode: choose from %v", mode, topicModes)}
				}
			}
			if o.modes = args; len(args) == 0 {
				o.modes = topicModes
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return err
			}
			return a.benchTopic(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.IntSliceVar(&o.sizes, "size", []int{64, 1 << 10, 1 << 20}, "item sizes in bytes")
	f.IntVar(&o.readers, "readers", 4, "subscriber processes")
	f.IntVar(&o.batch, "batch", 256, "items in a batch")
	f.IntVar(&o.ring, "ring", 4<<20, "bytes that are kept, a power of two; more for items that need it")
	f.DurationVar(&o.duration, "duration", 400*time.Millisecond, "how long one round publishes")
	f.IntVar(&o.rounds, "rounds", 3, "rounds of each row")
	f.StringVar(&o.policy, "policy", "reliable", "lossy, latest or reliable")
	_ = f.SetAnnotation("policy", ownMeaning, nil)
	return cmd
}

func (o *topicBenchOptions) check() (err error) {
	if o.terms, err = topic.ParsePolicy(o.policy); err != nil {
		return err
	}
	for _, size := range o.sizes {
		if size < 1 || size > topic.MaxData {
			return usageError{fmt.Errorf("--size %d: from 1 to %d bytes", size, topic.MaxData)}
		}
	}
	if o.duration <= 0 || o.rounds < 1 || o.batch < 1 || o.readers < 1 || o.readers > 64 || len(o.sizes) == 0 {
		return usageError{errors.New("--duration, --rounds, --batch, --size and --readers have to be more than nothing, and at most 64 readers")}
	}
	return nil
}

// topicReport is what bench topic prints.
type topicReport struct {
	Machine string     `json:"machine"`
	Policy  string     `json:"policy"`
	Readers int        `json:"readers"`
	Batch   int        `json:"batch"`
	Rounds  int        `json:"rounds"`
	Rows    []topicRow `json:"rows"`
}

// topicRow is medians over the rounds.
type topicRow struct {
	Mode      string  `json:"mode"`
	Size      int     `json:"size"`
	Time      float64 `json:"ns"`                   // of the publisher, for one item
	Published float64 `json:"published_per_second"` // until the last reader has read all
	Received  float64 `json:"received_per_second"`  // by each reader
	Share     float64 `json:"received_share"`       // of what was published, by each reader
	CPU       float64 `json:"cpu_ns"`               // of all processes, for one item
}

func (a *app) benchTopic(ctx context.Context, o topicBenchOptions) (err error) {
	program, err := asPeer()
	if err != nil {
		return err
	}
	stage, err := peer.NewStage(program)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stage.Close()) }()
	stage.Stderr = a.err
	r := topicReport{Machine: measure.Machine(), Policy: o.policy, Readers: o.readers, Batch: o.batch, Rounds: o.rounds}
	progress := a.progress()
	for _, mode := range o.modes {
		for _, size := range o.sizes {
			if progress != nil {
				progress(mode, fmt.Sprintf("%d bytes", size))
			}
			row, err := benchTopicRow(ctx, stage, o, mode, size)
			if err != nil {
				a.endProgress()
				return fmt.Errorf("%s, %d bytes: %w", mode, size, err)
			}
			r.Rows = append(r.Rows, row)
		}
	}
	a.endProgress()
	if a.json {
		return a.printJSON(r)
	}
	return a.printTopicReport(r)
}

func benchTopicRow(ctx context.Context, stage *peer.Stage, o topicBenchOptions, mode string, size int) (topicRow, error) {
	var rounds []topicRow
	for range o.rounds {
		r, err := o.round(ctx, stage, mode, size)
		if err != nil {
			return r, err
		}
		rounds = append(rounds, r)
	}
	median := func(of func(topicRow) float64) float64 {
		var xs []float64
		for _, r := range rounds {
			xs = append(xs, of(r))
		}
		return measure.Median(xs)
	}
	return topicRow{
		Mode: mode, Size: size,
		Time:      median(func(r topicRow) float64 { return r.Time }),
		Published: median(func(r topicRow) float64 { return r.Published }),
		Received:  median(func(r topicRow) float64 { return r.Received }),
		Share:     median(func(r topicRow) float64 { return r.Share }),
		CPU:       median(func(r topicRow) float64 { return r.CPU }),
	}, nil
}

// round is one publisher with its readers, from start to end.
func (o topicBenchOptions) round(ctx context.Context, stage *peer.Stage, mode string, size int) (topicRow, error) {
	var row topicRow
	var cast []*peer.TopicPeer
	defer func() {
		for _, p := range cast {
			p.Close()
		}
	}()
	start := func(role peer.TopicRole) error {
		p, err := stage.Topic(ctx, "bench", role)
		if err == nil {
			cast = append(cast, p)
		}
		return err
	}
	for range o.readers {
		if err := start(peer.TopicRole{Policy: o.terms, Borrow: mode == topicLoan}); err != nil {
			return row, err
		}
	}
	load := peer.TopicLoad{Wait: o.readers, For: o.duration, Size: size, Batch: 1, Loan: mode == topicLoan, Ring: o.ringFor(mode, size)}
	if mode == topicBatch {
		load.Batch = o.batch
	}
	if err := start(peer.TopicRole{Load: &load}); err != nil {
		return row, err
	}
	var elapsed, cpu time.Duration
	var received, each float64
	for _, p := range cast[:o.readers] {
		r, err := p.Report(ctx)
		if err != nil {
			return row, err
		}
		received += float64(r.Items)
		each += float64(r.Items) / max(r.Elapsed.Seconds(), 1e-9)
		elapsed, cpu = max(elapsed, r.Elapsed), cpu+r.CPU
	}
	r, err := cast[o.readers].Report(ctx)
	if err != nil {
		return row, err
	}
	items, readers := max(float64(r.Items), 1), float64(o.readers)
	elapsed, cpu = max(elapsed, r.Elapsed), cpu+r.CPU
	return topicRow{
		Time: float64(r.Elapsed) / items, Published: items / elapsed.Seconds(),
		Received: each / readers, Share: received / readers / items, CPU: float64(cpu) / items,
	}, nil
}

// ringFor is --ring, or what items of that size need: a quarter holds one.
// Loans cost so little that with room for few of them only waking would be
// measured.
func (o topicBenchOptions) ringFor(mode string, size int) int {
	ring, room := o.ring, 4
	if mode == topicLoan {
		room = 128
	}
	for ring < room*size && (ring < 256<<20 || ring < 4*size) {
		ring *= 2
	}
	return ring
}

func (a *app) printTopicReport(r topicReport) error {
	fmt.Fprintf(a.out, "%s\none publisher, %d subscriber processes, %s; batches of %d; medians of %d rounds; CPU is of all processes, for one item\n\n",
		r.Machine, r.Readers, r.Policy, r.Batch, r.Rounds)
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "size\tmode\tpublisher ns\tpublished/s\treceived/s each\treceived\tCPU ns\t\n")
	for _, row := range r.Rows {
		fmt.Fprintf(w, "%s\t%s\t%.0f\t%.0f\t%.0f\t%.1f %%\t%.0f\t\n", sizeText(row.Size), row.Mode, row.Time, row.Published, row.Received, 100*row.Share, row.CPU)
	}
	return w.Flush()
}
