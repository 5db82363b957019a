// SPDX-License-Identifier: Apache-2.0

package measure

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-ipc/parley/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair returns a client whose other side is served until the test ends, and
// what Serve returned.
func pair(t *testing.T) (*Client, net.Conn, <-chan error) {
	t.Helper()
	ours, theirs := net.Pipe()
	served := make(chan error, 1)
	go func() { served <- Serve(theirs) }()
	t.Cleanup(func() {
		_ = ours.Close()
		_ = theirs.Close()
	})
	return NewClient(ours), ours, served
}

func TestRoundTrips(t *testing.T) {
	c, conn, served := pair(t)
	for _, size := range []int{1, 8, 9, 64, 100_000} {
		lat, err := c.RoundTrips(t.Context(), Trips{Size: size, For: time.Hour, Count: 10})
		if err != nil {
			t.Fatal(err)
		}
		if lat.Count() != 10 {
			t.Errorf("%d bytes: %d trips instead of 10", size, lat.Count())
		}
		p50, p99 := lat.Quantile(0.5), lat.Quantile(0.99)
		if p50 <= 0 || p50 > p99 || p99 > lat.Max() {
			t.Errorf("%d bytes: p50 %v, p99 %v, max %v are out of order", size, p50, p99, lat.Max())
		}
	}
	_ = conn.Close()
	if err := <-served; err != nil {
		t.Errorf("Serve ended with %v", err)
	}
}

func TestRoundTripsEndByTime(t *testing.T) {
	c, _, _ := pair(t)
	lat, err := c.RoundTrips(t.Context(), Trips{Size: 64})
	if err != nil || lat.Count() != 1 {
		t.Errorf("no time at all: %d trips, %v, instead of one", lat.Count(), err)
	}
	lat, err = c.RoundTrips(t.Context(), Trips{Size: 64, For: 5 * time.Millisecond, Pause: time.Millisecond})
	if err != nil || lat.Count() < 1 || lat.Count() > 6 {
		t.Errorf("5 ms with pauses of 1 ms: %d trips, %v", lat.Count(), err)
	}
}

func TestFlow(t *testing.T) {
	c, _, _ := pair(t)
	for _, size := range []int{1, 64, sinkSize + 1} {
		f, err := c.Flow(t.Context(), size, 5*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if f.Messages < 1 || f.Bytes != int64(size)*int64(f.Messages) || f.Elapsed <= 0 || f.PerSecond() <= 0 {
			t.Errorf("%d bytes: %+v", size, f)
		}
	}
	if _, err := c.RoundTrips(t.Context(), Trips{Size: 64, Count: 1, For: time.Hour}); err != nil {
		t.Errorf("a round trip after a flow: %v", err)
	}
}

// TestOneProcessCountsOnce: both sides are this process, whose time must not
// be added twice.
func TestOneProcessCountsOnce(t *testing.T) {
	c, _, _ := pair(t)
	before := ownCPU()
	both, err := c.bothCPU()
	if after := ownCPU(); err != nil || both < before || both > after {
		t.Errorf("%v, %v; this process alone had used between %v and %v", both, err, before, after)
	}
}

func TestCancelEndsEverything(t *testing.T) {
	cause := errors.New("enough")
	for name, work := range map[string]func(context.Context, *Client) error{
		"trips": func(ctx context.Context, c *Client) error {
			_, err := c.RoundTrips(ctx, Trips{Size: 64, For: time.Hour})
			return err
		},
		"pause": func(ctx context.Context, c *Client) error {
			_, err := c.RoundTrips(ctx, Trips{Size: 64, For: time.Hour, Pause: time.Hour})
			return err
		},
		"flow": func(ctx context.Context, c *Client) error {
			_, err := c.Flow(ctx, 64, time.Hour)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, _, _ := pair(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			stop := time.AfterFunc(5*time.Millisecond, func() { cancel(cause) })
			defer stop.Stop()
			if err := work(ctx, c); !errors.Is(err, cause) {
				t.Errorf("it ended with %v", err)
			}
		})
	}
}

// TestChangedAnswer: a peer that echoes something else is found out.
func TestChangedAnswer(t *testing.T) {
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _ = ours.Close(); _ = theirs.Close() })
	go func() {
		var b [requestSize]byte
		_, _ = io.ReadFull(theirs, b[:])
		_, _ = theirs.Write(encodeUsage(usage{}))
		_, _ = io.ReadFull(theirs, b[:])
		message := make([]byte, 64)
		_, _ = io.ReadFull(theirs, message)
		message[8] ^= 1
		_, _ = theirs.Write(message)
	}()
	_, err := NewClient(ours).RoundTrips(t.Context(), Trips{Size: 64, For: time.Hour})
	if fault.KindOf(err) != fault.Protocol {
		t.Errorf("a changed answer: %v", err)
	}
}

func TestBadRequests(t *testing.T) {
	for _, r := range []request{
		{}, {mode: 9, size: 1}, {mode: trips}, {mode: trips, size: MaxSize + 1}, {mode: trips, size: -1},
		{mode: trips, size: 1, count: 1}, {mode: flow, size: 64}, {mode: flow, size: 64, count: -1},
		{mode: flow, size: MaxSize, count: 1 << 30}, {mode: cpuTime, size: 1},
	} {
		ours, theirs := net.Pipe()
		go func() { _, _ = ours.Write(r.encode()) }()
		if err := Serve(theirs); fault.KindOf(err) != fault.Protocol {
			t.Errorf("%+v: %v", r, err)
		}
		_ = theirs.Close()
		_ = ours.Close()
	}
}

func TestAddAndMedian(t *testing.T) {
	a, b := newLatency(), newLatency()
	a.record(1000)
	b.record(3000)
	b.record(2 * longest)
	b.CPU = 6
	a.Add(b)
	if a.Count() != 3 || a.Quantile(0.5).Round(100) != 3000 || a.Max() < longest || a.CPUPerTrip() != 2 {
		t.Errorf("%d trips, p50 %v, max %v, CPU %v", a.Count(), a.Quantile(0.5), a.Max(), a.CPUPerTrip())
	}
	if m := Median([]int{3, 1, 2}); m != 2 {
		t.Errorf("the median of 3, 1, 2 is %d", m)
	}
	if m := Median[int](nil); m != 0 {
		t.Errorf("the median of nothing is %d", m)
	}
}

func FuzzRequest(f *testing.F) {
	f.Add(request{trips, 64, 0}.encode())
	f.Add(request{flow, MaxSize, 3}.encode())
	f.Add(request{cpuTime, 0, 0}.encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) != requestSize {
			return
		}
		r, err := decode([requestSize]byte(data))
		if err != nil {
			return
		}
		if again := r.encode(); string(again) != string(data) {
			t.Errorf("%x reads as %+v, which is written as %x", data, r, again)
		}
		if r.size < 0 || r.size > MaxSize || r.count < 0 || int64(r.size)*int64(r.count) > maxBytes {
			t.Errorf("%+v was let through", r)
		}
	})
}
