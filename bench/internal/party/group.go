// SPDX-License-Identifier: Apache-2.0

package party

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Subject is one way for processes to talk.
type Subject struct {
	Name  string
	Specs []Spec                             // extra processes first, then those that answer, last the one that begins
	Extra int                                // how many of Specs take no commands: a broker
	Can   func(c Command, at Placement) bool // what it can be asked
}

// group is a subject whose processes run.
type group struct {
	Subject
	all  []*process
	reps map[string]int // of a command: how many messages a measurement takes
}

func (s Subject) start(ctx context.Context, at Placement) (*group, error) {
	cpus, err := allowed()
	if err != nil {
		return nil, err
	}
	g := &group{Subject: s, reps: map[string]int{}}
	for i, spec := range s.Specs {
		p, err := start(ctx, s.Name, spec, at.cpus(len(s.Specs)-1-i, cpus))
		if err != nil {
			g.stop()
			return nil, err
		}
		g.all = append(g.all, p)
	}
	return g, nil
}

func (g *group) stop() {
	for _, p := range slices.Backward(g.all) {
		p.stop()
	}
}

// measure has all processes do c and returns the figures of the one that
// begins, with the processor time of all, brokers included, for each message.
func (g *group) measure(c Command) (Figures, error) {
	before := g.extraTime()
	active := g.all[g.Extra:]
	for _, p := range active {
		if err := p.begin(c); err != nil {
			return nil, err
		}
	}
	var cpu float64
	var first Figures
	for _, p := range slices.Backward(active) {
		f, err := p.end()
		if err != nil {
			return nil, err
		}
		if first == nil {
			first = f
		}
		cpu += f[CPU]
	}
	first[CPU] = (cpu + float64(g.extraTime()-before)) / float64(c.Count)
	return first, nil
}

// extraTime is the processor time of the processes that take no commands.
func (g *group) extraTime() time.Duration {
	var sum time.Duration
	for _, p := range g.all[:g.Extra] {
		sum += p.processorTime()
	}
	return sum
}

// fit finds how many messages take about d, unless pauses decide.
func (g *group) fit(c Command, d time.Duration) (int, error) {
	key := fmt.Sprint(c.Op, c.Size)
	if n := g.reps[key]; n > 0 {
		return n, nil
	}
	if c.Pause > 0 {
		return max(1, int(d/c.Pause)), nil
	}
	for c.Count = 64; ; { // the first measurement connects, too
		if len(g.reps) == 0 {
			if _, err := g.measure(c); err != nil {
				return 0, err
			}
		}
		f, err := g.measure(c)
		if err != nil {
			return 0, err
		}
		took := f[Time] * float64(c.Count)
		want := float64(c.Count) * float64(d) / took
		if took >= float64(d)/3 {
			g.reps[key] = max(1, int(want))
			return g.reps[key], nil
		}
		c.Count = max(c.Count+1, int(min(want, 16*float64(c.Count))))
	}
}
