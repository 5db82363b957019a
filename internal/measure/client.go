// SPDX-License-Identifier: Apache-2.0

package measure

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/parley-ipc/parley/fault"
)

// Client measures a connection whose other side runs Serve. It is not safe
// for concurrent use. After an error, a cancelled context included, the
// connection is of no more use.
type Client struct {
	conn net.Conn // not owned
}

// NewClient returns a Client of conn, which stays the caller's to close.
func NewClient(conn net.Conn) *Client { return &Client{conn} }

// Trips says which round trips to make.
type Trips struct {
	Size  int           // of a message, in bytes, 1 to MaxSize
	For   time.Duration // stops after this time; there is always one trip
	Count int           // stops after so many; 0: For alone decides
	Pause time.Duration // before each trip, both sides doing nothing; 0: back to back
}

// RoundTrips sends messages one after the other and waits for each to come
// back.
func (c *Client) RoundTrips(ctx context.Context, t Trips) (Latency, error) {
	lat := newLatency()
	err := c.guarded(ctx, func() (err error) {
		if lat.CPU, err = c.measured(func() error { return c.trips(ctx, t, &lat) }); err != nil {
			return err
		}
		return nil
	})
	return lat, err
}

func (c *Client) trips(ctx context.Context, t Trips, lat *Latency) error {
	if _, err := c.conn.Write(request{mode: trips, size: t.Size}.encode()); err != nil {
		return err
	}
	out, in := make([]byte, t.Size), make([]byte, t.Size)
	begin := time.Now()
	before := begin
	for n := uint64(1); out[0] != lastTrip; n++ {
		if t.Pause > 0 {
			if err := rest(ctx, t.Pause); err != nil {
				return err
			}
			before = time.Now()
		}
		if t.Count > 0 && n >= uint64(t.Count) || before.Sub(begin) >= t.For {
			out[0] = lastTrip
		}
		number(out, n)
		if _, err := c.conn.Write(out); err != nil {
			return err
		}
		if _, err := io.ReadFull(c.conn, in); err != nil {
			return err
		}
		now := time.Now()
		lat.record(now.Sub(before))
		before = now
		if in[0] != out[0] || !numbered(in, n) {
			return fault.New(fault.Protocol, "measure", "", fmt.Errorf("message %d of %d bytes came back changed", n, t.Size))
		}
	}
	return nil
}

// number marks a message that has room for it, so that a late answer is not
// taken for the right one.
func number(b []byte, n uint64) {
	if len(b) >= 9 {
		binary.BigEndian.PutUint64(b[1:], n)
	}
}

func numbered(b []byte, n uint64) bool { return len(b) < 9 || binary.BigEndian.Uint64(b[1:]) == n }

// Flow sends messages of size bytes for about d without waiting for answers,
// but for one at the end of each batch.
func (c *Client) Flow(ctx context.Context, size int, d time.Duration) (Flow, error) {
	var f Flow
	err := c.guarded(ctx, func() error {
		buf := make([]byte, size)
		for count := 1; ; {
			got, err := c.batch(buf, count)
			if err != nil {
				return err
			}
			f = got
			left := d - got.Elapsed
			if d -= got.Elapsed; got.Elapsed >= left {
				return nil // the largest batch, at least half of the time
			}
			count = next(count, got.Elapsed, left)
		}
	})
	return f, err
}

// next is how many messages to send in the time that is left: four times as
// many as before while that is short, else as many as fit.
func next(count int, took, left time.Duration) int {
	if took < left/8 {
		return 4 * count
	}
	return max(1, int(float64(count)*float64(left)/float64(took)))
}

func (c *Client) batch(buf []byte, count int) (f Flow, err error) {
	f.Bytes, f.Messages = int64(len(buf))*int64(count), count
	f.CPU, err = c.measured(func() error {
		if _, err := c.conn.Write(request{flow, len(buf), count}.encode()); err != nil {
			return err
		}
		begin := time.Now()
		for range count {
			if _, err := c.conn.Write(buf); err != nil {
				return err
			}
		}
		var confirmed [1]byte
		_, err := io.ReadFull(c.conn, confirmed[:])
		f.Elapsed = time.Since(begin)
		return err
	})
	return f, err
}

// measured runs work and returns the processor time that both sides used.
func (c *Client) measured(work func() error) (time.Duration, error) {
	before, err := c.bothCPU()
	if err != nil {
		return 0, err
	}
	if err := work(); err != nil {
		return 0, err
	}
	after, err := c.bothCPU()
	return after - before, err
}

// bothCPU is the time of this process and, if it is another one, of the
// serving one.
func (c *Client) bothCPU() (time.Duration, error) {
	if _, err := c.conn.Write(request{mode: cpuTime}.encode()); err != nil {
		return 0, err
	}
	theirs, err := readUsage(c.conn)
	ours := ownUsage()
	if theirs.pid == ours.pid {
		theirs.cpu = 0
	}
	return time.Duration(ours.cpu + theirs.cpu), err
}

// guarded runs work, which ends soon after ctx does.
func (c *Client) guarded(ctx context.Context, work func() error) error {
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) })
	err := work()
	if !stop() {
		err = errors.Join(context.Cause(ctx), err)
	}
	return fault.Wrap("measure", "", err)
}

func rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
