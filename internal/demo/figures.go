// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/parley-ipc/parley/internal/measure"
	"github.com/parley-ipc/parley/internal/peer"
	"github.com/parley-ipc/parley/transport"
)

const (
	messageSize = 64
	writeSize   = 64 << 10
	measureTime = 200 * time.Millisecond

	// Both sides do nothing for so long before a message: longer than anybody
	// spins.
	pause  = 20 * time.Millisecond
	pauses = 25
)

// awake: round trips back to back.
func awake(ctx context.Context, sc *scene) (finding, error) {
	return sc.roundTrips(ctx, measure.Trips{Size: messageSize, For: measureTime})
}

// slept: round trips that find both sides asleep.
func slept(ctx context.Context, sc *scene) (finding, error) {
	return sc.roundTrips(ctx, measure.Trips{Size: messageSize, For: checkTime, Count: pauses, Pause: pause})
}

func (sc *scene) roundTrips(ctx context.Context, trips measure.Trips) (f finding, err error) {
	err = sc.with(ctx, func(conn transport.Conn) error {
		client, err := peer.Measure(conn)
		if err != nil {
			return err
		}
		if _, err := client.RoundTrips(ctx, measure.Trips{Size: messageSize, For: measureTime / 10}); err != nil {
			return err // that was to warm up
		}
		lat, err := client.RoundTrips(ctx, trips)
		if err != nil {
			return err
		}
		p50, p99 := lat.Quantile(0.50), lat.Quantile(0.99)
		f = finding{pairOf(p50, p99), map[string]any{
			"trips": lat.Count(), "size": trips.Size, "pause_ns": trips.Pause,
			"p50_ns": p50, "p99_ns": p99, "max_ns": lat.Max(), "cpu_ns": lat.CPUPerTrip(),
		}}
		return nil
	})
	return f, err
}

func pairOf(p50, p99 time.Duration) string {
	return measure.Microseconds(p50) + " / " + measure.Microseconds(p99) + " µs"
}

// throughput: one way, in large writes.
func throughput(ctx context.Context, sc *scene) (f finding, err error) {
	err = sc.with(ctx, func(conn transport.Conn) error {
		client, err := peer.Measure(conn)
		if err != nil {
			return err
		}
		flow, err := client.Flow(ctx, writeSize, measureTime)
		if err != nil {
			return err
		}
		f = finding{fmt.Sprintf("%.2f GB/s", flow.PerSecond()/1e9), map[string]any{
			"bytes": flow.Bytes, "write": writeSize, "bytes_per_second": flow.PerSecond(), "cpu_ns": flow.CPUPerMessage(),
		}}
		return nil
	})
	return f, err
}
