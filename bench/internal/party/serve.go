// SPDX-License-Identifier: Apache-2.0

package party

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Runner does what a command says, and returns when it is done.
type Runner func(Command) (Figures, error)

// Serve is the life of a process of a subject: it takes commands from in until
// that ends.
func Serve(in io.Reader, out io.Writer, run Runner) error {
	if _, err := fmt.Fprintln(out, "up"); err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		c, err := Parse(lines.Text())
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(out, "ready"); err != nil {
			return err
		}
		before := ProcessorTime()
		figures, err := run(c)
		if err != nil {
			return fmt.Errorf("%v: %w", c, err)
		}
		if figures == nil {
			figures = Figures{}
		}
		if _, has := figures[CPU]; !has {
			figures[CPU] = float64(ProcessorTime() - before)
		}
		if _, err := fmt.Fprintln(out, figures.line()); err != nil {
			return err
		}
	}
	return lines.Err()
}

func (f Figures) line() string {
	parts := []string{"done"}
	for name, v := range f {
		parts = append(parts, fmt.Sprintf("%s=%.9g", name, v))
	}
	return strings.Join(parts, " ")
}

func parseFigures(line string) (Figures, error) {
	rest, ok := strings.CutPrefix(line, "done")
	if !ok {
		return nil, fmt.Errorf("want done, got %q", line)
	}
	f := Figures{}
	for _, part := range strings.Fields(rest) {
		name, value, _ := strings.Cut(part, "=")
		var v float64
		if _, err := fmt.Sscan(value, &v); err != nil {
			return nil, fmt.Errorf("figure %q: %w", part, err)
		}
		f[name] = v
	}
	return f, nil
}

// ProcessorTime is what this process has used.
func ProcessorTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// perReading is how many round trips one reading of the clock covers, where they
// follow each other at once: the clock costs a tenth of the fastest.
const perReading = 8

// Trips times a command's round trips, each one call of trip.
func Trips(c Command, trip func() error) (Figures, error) {
	each := perReading
	if c.Pause > 0 || c.Count < 10*perReading {
		each = 1
	}
	var total time.Duration
	samples := make([]float64, 0, c.Count/each+1)
	for left := c.Count; left > 0; {
		if c.Pause > 0 {
			time.Sleep(c.Pause)
		}
		n := min(each, left)
		start := time.Now()
		for range n {
			if err := trip(); err != nil {
				return nil, err
			}
		}
		d := time.Since(start)
		total += d
		samples = append(samples, float64(d)/float64(n))
		left -= n
	}
	slices.Sort(samples)
	return Figures{Time: float64(total) / float64(c.Count), Median: samples[len(samples)/2]}, nil
}

// Flow times a whole command at once.
func Flow(c Command, all func() error) (Figures, error) {
	start := time.Now()
	if err := all(); err != nil {
		return nil, err
	}
	return Figures{Time: float64(time.Since(start)) / float64(c.Count)}, nil
}
