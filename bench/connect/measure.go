// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"time"
)

// client is our end of one subject's connection, with its samples of the
// comparison under way.
type client struct {
	subject
	conn    net.Conn
	samples []sample
}

// sample is one batch, per message.
type sample struct{ elapsed, cpu float64 } // ns

// redialEvery is after how many rounds all connections are made anew: a TCP
// connection's windows settle where chance puts them and stay there.
const redialEvery = 4

// dial replaces the client's connection.
func (c *client) dial(ctx context.Context, addresses map[string]string) error {
	if c.conn != nil {
		_ = c.conn.Close()
	}
	var err error
	if c.conn, err = c.subject.dial(ctx, addresses[c.name]); err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	return nil
}

// compare measures all subjects in rounds and returns a row each.
func compare(ctx context.Context, addresses map[string]string, m mode, size int, o options) ([]Row, error) {
	var clients []*client
	for _, s := range subjects {
		clients = append(clients, &client{subject: s})
	}
	buf := make([]byte, size)
	count := 0
	for round := range o.rounds {
		if round%redialEvery == 0 {
			var err error
			if count, err = redial(ctx, clients, addresses, m, buf, o.batch); err != nil {
				return nil, err
			}
		}
		for i := range clients {
			c := clients[turn(i, round, len(clients))]
			s, err := c.batch(m, buf, count)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			c.samples = append(c.samples, s)
		}
	}
	for _, c := range clients {
		_ = c.conn.Close()
	}
	return rows(clients, m, size), nil
}

// redial gives every client a new connection, warms it, and returns the count
// of messages for a batch.
func redial(ctx context.Context, clients []*client, addresses map[string]string, m mode, buf []byte, d time.Duration) (count int, err error) {
	for _, c := range clients {
		if err = c.dial(ctx, addresses); err != nil {
			return 0, err
		}
		if count, err = calibrate(c, m, buf, d); err != nil {
			return 0, fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return count, nil
}

// turn gives the i-th place of a round: forwards, then backwards, each
// starting one later than the last pair of rounds.
func turn(i, round, n int) int {
	if round%2 == 1 {
		i = n - 1 - i
	}
	return (i + round/2) % n
}

// calibrate finds how many messages take about as long as d.
func calibrate(c *client, m mode, buf []byte, d time.Duration) (int, error) {
	count := 1
	for {
		s, err := c.batch(m, buf, count)
		if err != nil {
			return 0, err
		}
		if took := time.Duration(s.elapsed * float64(count)); took > d/4 {
			return max(1, int(float64(count)*float64(d)/float64(took))), nil
		}
		count *= 2
	}
}

// batch sends count messages and measures them, with the CPU time of both
// processes.
func (c *client) batch(m mode, buf []byte, count int) (sample, error) {
	cpu, err := c.bothCPU()
	if err != nil {
		return sample{}, err
	}
	if err := (request{m, len(buf), count}).send(c.conn); err != nil {
		return sample{}, err
	}
	start := time.Now()
	if m == roundTrip {
		err = pingPong(c.conn, buf, count)
	} else {
		err = pour(c.conn, buf, count)
	}
	elapsed := time.Since(start)
	if err != nil {
		return sample{}, err
	}
	after, err := c.bothCPU()
	return sample{float64(elapsed) / float64(count), float64(after-cpu) / float64(count)}, err
}

func pingPong(c net.Conn, buf []byte, count int) error {
	for range count {
		if _, err := c.Write(buf); err != nil {
			return err
		}
		if _, err := io.ReadFull(c, buf); err != nil {
			return err
		}
	}
	return nil
}

func pour(c net.Conn, buf []byte, count int) error {
	for range count {
		if _, err := c.Write(buf); err != nil {
			return err
		}
	}
	_, err := io.ReadFull(c, buf[:1])
	return err
}

// bothCPU returns the CPU time that this process and the server have used.
func (c *client) bothCPU() (time.Duration, error) {
	if err := (request{mode: cpuTime}).send(c.conn); err != nil {
		return 0, err
	}
	var b [8]byte
	if _, err := io.ReadFull(c.conn, b[:]); err != nil {
		return 0, err
	}
	return time.Duration(binary.BigEndian.Uint64(b[:])) + ownCPU(), nil
}

// rows turns samples into figures.
func rows(clients []*client, m mode, size int) []Row {
	byName := map[string]*client{}
	var out []Row
	for _, c := range clients {
		byName[c.name] = c
		row := Row{Mode: m.String(), Size: size, Subject: c.name, Baseline: c.baseline}
		row.Nanoseconds = median(c.samples, func(i int) float64 { return c.samples[i].elapsed })
		row.CPUNanoseconds = median(c.samples, func(i int) float64 { return c.samples[i].cpu })
		if b := byName[c.baseline]; b != nil {
			row.Ratio = median(c.samples, func(i int) float64 { return c.samples[i].elapsed / b.samples[i].elapsed })
			row.CPURatio = median(c.samples, func(i int) float64 { return c.samples[i].cpu / b.samples[i].cpu })
			row.RatioLow, row.RatioHigh = spread(len(c.samples), func(i int) float64 { return c.samples[i].elapsed / b.samples[i].elapsed })
		}
		out = append(out, row)
	}
	return out
}

func median(samples []sample, of func(int) float64) float64 {
	return sorted(len(samples), of)[len(samples)/2]
}

// spread returns the quartiles.
func spread(n int, of func(int) float64) (low, high float64) {
	xs := sorted(n, of)
	return xs[n/4], xs[n*3/4]
}

func sorted(n int, of func(int) float64) []float64 {
	xs := make([]float64, n)
	for i := range xs {
		xs[i] = of(i)
	}
	slices.SortFunc(xs, cmp.Compare)
	return xs
}
