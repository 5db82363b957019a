// SPDX-License-Identifier: Apache-2.0

package party

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"
)

// Cell is what all subjects that can are measured at, side by side.
type Cell struct {
	At Placement
	Command
	Rounds int // at most; default as planned
}

// String names the cell for people, and for targets.
func (c Cell) String() string {
	if c.Size == 0 {
		return fmt.Sprintf("%s, %s", c.At, c.Op)
	}
	return fmt.Sprintf("%s, %s, %s", c.At, c.Op, Bytes(c.Size))
}

// Bytes writes a size.
func Bytes(n int) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}

// Samples are the figures of each round, by subject; rounds correspond.
type Samples map[string][]Figures

// Plan is how thoroughly to measure.
type Plan struct {
	Rounds int
	Batch  time.Duration // about how long one measurement lasts
}

// idle is how long everybody has done nothing before a round of Idle.
const idle = 2 * time.Second

// Compare measures every cell of one placement, each subject once a round, in
// an order that turns. A subject that fails is left out from then on, with a
// word on stderr: the others' figures are worth having.
func Compare(ctx context.Context, subjects []Subject, at Placement, cells []Cell, plan Plan) (map[string]Samples, error) {
	var groups []*group
	defer func() {
		for _, g := range groups {
			g.stop()
		}
	}()
	for _, s := range subjects {
		if !slices.ContainsFunc(cells, func(c Cell) bool { return s.Can(c.Command, at) }) {
			continue
		}
		g, err := s.start(ctx, at)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: left out: %v\n", s.Name, err)
			continue
		}
		groups = append(groups, g)
	}
	all := map[string]Samples{}
	for _, cell := range cells {
		samples, failed, err := measureCell(ctx, groups, cell, plan)
		if err != nil {
			return nil, err
		}
		all[cell.String()] = samples
		groups = slices.DeleteFunc(groups, func(g *group) bool { return failed[g.Name] })
	}
	return all, nil
}

func measureCell(ctx context.Context, groups []*group, cell Cell, plan Plan) (Samples, map[string]bool, error) {
	samples, failed := Samples{}, map[string]bool{}
	able := slices.DeleteFunc(slices.Clone(groups), func(g *group) bool { return !g.Can(cell.Command, cell.At) })
	rounds := plan.Rounds
	if cell.Rounds > 0 {
		rounds = min(rounds, cell.Rounds)
	}
	for round := range rounds {
		if cell.At == Idle {
			time.Sleep(idle)
		}
		for i := range able {
			g := able[turn(i, round, len(able))]
			if failed[g.Name] {
				continue
			}
			if ctx.Err() != nil {
				return nil, nil, context.Cause(ctx)
			}
			f, err := g.sample(cell, plan)
			if err != nil {
				fmt.Fprintf(os.Stderr, "%s: left out from %v on: %v\n", g.Name, cell, err)
				failed[g.Name] = true
				delete(samples, g.Name)
				g.stop()
				continue
			}
			samples[g.Name] = append(samples[g.Name], f)
		}
	}
	return samples, failed, nil
}

func (g *group) sample(cell Cell, plan Plan) (Figures, error) {
	c := cell.Command
	if c.Count == 0 {
		var err error
		if c.Count, err = g.fit(c, plan.Batch); err != nil {
			return nil, err
		}
	}
	return g.measure(c)
}

// turn gives the i-th place of a round: forwards, then backwards, each
// starting one later than the last pair of rounds.
func turn(i, round, n int) int {
	if round%2 == 1 {
		i = n - 1 - i
	}
	return (i + round/2) % n
}
