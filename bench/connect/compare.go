// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/parley-ipc/parley/internal/measure"
)

// mode is what is measured.
type mode string

const (
	roundTrip mode = "round trip" // each message is sent back; the batch's median
	oneWay    mode = "one way"    // messages flow, one byte confirms a batch
)

// redialEvery is after how many rounds all connections are made anew: a TCP
// connection's windows settle where chance puts them and stay there.
const redialEvery = 4

// client is our end of one subject's connection, with its samples of the
// comparison under way.
type client struct {
	subject
	conn    net.Conn
	samples []sample
}

// sample is one batch, per message, in nanoseconds.
type sample struct {
	time float64
	cpu  float64 // of both processes
}

// compare measures all subjects in rounds and returns a row each.
func compare(ctx context.Context, addresses map[string]string, m mode, size int, o options) ([]Row, error) {
	var clients []*client
	for _, s := range subjects {
		c := &client{subject: s}
		defer c.close()
		clients = append(clients, c)
	}
	for round := range o.rounds {
		if round%redialEvery == 0 {
			if err := redial(ctx, clients, addresses, m, size, o.batch); err != nil {
				return nil, err
			}
		}
		for i := range clients {
			c := clients[turn(i, round, len(clients))]
			s, err := c.measure(ctx, m, size, o.batch)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			c.samples = append(c.samples, s)
		}
	}
	return rows(clients, m, size), nil
}

// turn gives the i-th place of a round: forwards, then backwards, each
// starting one later than the last pair of rounds.
func turn(i, round, n int) int {
	if round%2 == 1 {
		i = n - 1 - i
	}
	return (i + round/2) % n
}

// redial gives every client a new connection and warms it.
func redial(ctx context.Context, clients []*client, addresses map[string]string, m mode, size int, d time.Duration) error {
	for _, c := range clients {
		c.close()
		var err error
		if c.conn, err = c.dial(ctx, addresses[c.name]); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		if _, err = c.measure(ctx, m, size, d/4); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}

func (c *client) close() {
	if c.conn != nil {
		_ = c.conn.Close()
	}
}

func (c *client) measure(ctx context.Context, m mode, size int, d time.Duration) (sample, error) {
	meter := measure.NewClient(c.conn)
	if m == roundTrip {
		lat, err := meter.RoundTrips(ctx, measure.Trips{Size: size, For: d})
		if err != nil {
			return sample{}, err
		}
		return sample{float64(lat.Quantile(0.5)), float64(lat.CPUPerTrip())}, nil
	}
	flow, err := meter.Flow(ctx, size, d)
	if err != nil {
		return sample{}, err
	}
	return sample{float64(flow.Elapsed) / float64(flow.Messages), float64(flow.CPUPerMessage())}, nil
}

// rows turns samples into figures.
func rows(clients []*client, m mode, size int) []Row {
	byName := map[string]*client{}
	var out []Row
	for _, c := range clients {
		byName[c.name] = c
		row := Row{
			Mode: string(m), Size: size, Subject: c.name, Baseline: c.baseline,
			Nanoseconds:    measure.Median(c.each(func(s, _ sample) float64 { return s.time }, c)),
			CPUNanoseconds: measure.Median(c.each(func(s, _ sample) float64 { return s.cpu }, c)),
		}
		if b := byName[c.baseline]; b != nil {
			ratios := c.each(func(s, base sample) float64 { return s.time / base.time }, b)
			slices.Sort(ratios)
			row.Ratio, row.RatioLow, row.RatioHigh = measure.Median(ratios), ratios[len(ratios)/4], ratios[len(ratios)*3/4]
			row.CPURatio = measure.Median(c.each(func(s, base sample) float64 { return s.cpu / base.cpu }, b))
		}
		out = append(out, row)
	}
	return out
}

// each calls f with every sample of c and base's of the same round.
func (c *client) each(f func(s, base sample) float64, base *client) []float64 {
	xs := make([]float64, len(c.samples))
	for i, s := range c.samples {
		xs[i] = f(s, base.samples[i])
	}
	return xs
}
