// SPDX-License-Identifier: Apache-2.0

package child

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/parley-ipc/parley/internal/loglines"
)

const (
	// leftovers is the time to read what a dead child's pipes still hold, which
	// a process that it left behind may hold open for ever.
	leftovers = 250 * time.Millisecond
)

// output is where the child's stdout and stderr go: files of its own, or pipes
// that we read.
type output struct {
	child  [2]*os.File // given to the child; may be nil
	passed []*os.File  // of them, those to close once it has started
	pipes  []*os.File  // our ends
	pumps  []func()
	wg     sync.WaitGroup
}

func newOutput(cfg Config) (*output, error) {
	o := &output{}
	for i, w := range []io.Writer{cfg.Stdout, cfg.Stderr} {
		if f, ok := w.(*os.File); ok {
			o.child[i] = f
			continue
		}
		if cfg.Orphan == Survive && w == nil {
			continue // nil is /dev/null
		}
		ours, theirs, err := os.Pipe()
		if err != nil {
			o.close()
			return nil, err
		}
		o.child[i] = theirs
		o.passed, o.pipes = append(o.passed, theirs), append(o.pipes, ours)
		stream := [...]string{"stdout", "stderr"}[i]
		logger := cfg.Logger.With("child", cfg.Name)
		o.pumps = append(o.pumps, func() { pump(ours, w, logger, stream) })
	}
	return o, nil
}

// start reads what the child writes, until it has ended and said its last.
func (o *output) start() {
	for _, f := range o.passed {
		_ = f.Close()
	}
	o.passed = nil
	for _, p := range o.pumps {
		o.wg.Go(p)
	}
}

// finish is called once the child has ended.
func (o *output) finish() {
	for _, f := range o.pipes {
		_ = f.SetReadDeadline(time.Now().Add(leftovers))
	}
	o.wg.Wait()
	o.close()
}

func (o *output) close() {
	for _, f := range append(o.passed, o.pipes...) {
		_ = f.Close()
	}
}

func pump(r io.Reader, w io.Writer, logger *slog.Logger, stream string) {
	if w == nil {
		loglines.Copy(r, logger, stream)
		return
	}
	if _, err := io.Copy(w, r); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		logger.Warn("child's output is lost", "stream", stream, "error", err)
		_, _ = io.Copy(io.Discard, r) // lest the child wait for room
	}
}
