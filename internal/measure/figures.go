// SPDX-License-Identifier: Apache-2.0

package measure

import (
	"cmp"
	"slices"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// longest is what a histogram holds; what took longer counts as this long.
const longest = time.Minute

// Latency is the distribution of round trips.
type Latency struct {
	CPU time.Duration // both sides together, for all trips

	h *hdr.Histogram // in nanoseconds, three digits
}

func newLatency() Latency { return Latency{h: hdr.New(1, int64(longest), 3)} }

func (l *Latency) record(d time.Duration) {
	// An error means out of range, and the range has been seen to.
	_ = l.h.RecordValue(int64(min(max(d, 1), longest)))
}

// Count is the number of round trips.
func (l Latency) Count() int { return int(l.h.TotalCount()) }

// Quantile is the time within which a share q, 0 to 1, of the trips ended.
func (l Latency) Quantile(q float64) time.Duration {
	return time.Duration(l.h.ValueAtQuantile(100 * q))
}

// Max is the longest trip.
func (l Latency) Max() time.Duration { return time.Duration(l.h.Max()) }

// CPUPerTrip is the processor time of both sides for one trip.
func (l Latency) CPUPerTrip() time.Duration { return l.CPU / time.Duration(max(1, l.Count())) }

// Add adds the trips of another measurement.
func (l *Latency) Add(other Latency) {
	l.h.Merge(other.h)
	l.CPU += other.CPU
}

// Flow is what went through one way.
type Flow struct {
	Bytes    int64
	Messages int
	Elapsed  time.Duration
	CPU      time.Duration // both sides together
}

// PerSecond is in bytes.
func (f Flow) PerSecond() float64 {
	if f.Elapsed <= 0 {
		return 0
	}
	return float64(f.Bytes) / f.Elapsed.Seconds()
}

// CPUPerMessage is the processor time of both sides for one message.
func (f Flow) CPUPerMessage() time.Duration { return f.CPU / time.Duration(max(1, f.Messages)) }

// Median is the middle one of xs, the upper of two; zero for none.
func Median[T cmp.Ordered](xs []T) T {
	if len(xs) == 0 {
		var none T
		return none
	}
	xs = slices.Clone(xs)
	slices.Sort(xs)
	return xs[len(xs)/2]
}
