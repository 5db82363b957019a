// SPDX-License-Identifier: Apache-2.0

package child_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-ipc/parley/child"
)

func TestReadinessFails(t *testing.T) {
	cfg := config("plugin")
	var pid int
	cfg.Ready = func(_ context.Context, p *child.Process) error {
		pid = p.PID()
		return errors.New("no database")
	}
	if _, err := child.Start(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "no database") {
		t.Errorf("got %v", err)
	}
	if alive(t, pid) {
		t.Error("the child lives")
	}
}

func TestSickChildIsRestarted(t *testing.T) {
	cfg := config("plugin")
	cfg.Restart, cfg.FirstPause, cfg.LiveEvery, cfg.LiveFailures = child.OnFailure, time.Millisecond, time.Millisecond, 2
	var sick atomic.Int64 // the first, whoever of us sees which one when
	cfg.Ready = func(_ context.Context, p *child.Process) error {
		sick.CompareAndSwap(0, int64(p.PID()))
		return nil
	}
	cfg.Live = func(_ context.Context, p *child.Process) error {
		if sick.Load() == int64(p.PID()) {
			return errors.New("no answer")
		}
		return nil
	}
	c := start(t, cfg)
	for {
		p, err := c.Await(soon(t))
		if err != nil {
			t.Fatal(err)
		}
		if int64(p.PID()) != sick.Load() {
			talkTo(t, p).ask("pid")
			break
		}
		within(t, "the end of a sick child", p.Done())
	}
	if _, n := c.State(); n != 1 {
		t.Errorf("%d restarts, want 1", n)
	}
}

// Only so many failures in a row are an illness.
func TestAFailedCheckIsForgiven(t *testing.T) {
	cfg := config("plugin")
	cfg.Restart, cfg.LiveEvery, cfg.LiveFailures = child.OnFailure, time.Millisecond, 3
	var checks atomic.Int32
	often := make(chan struct{})
	cfg.Live = func(context.Context, *child.Process) error {
		switch n := checks.Add(1); {
		case n == 30:
			close(often)
			return nil
		case n > 30 || n%3 == 0:
			return nil
		}
		return errors.New("no answer")
	}
	c := start(t, cfg)
	p := c.Process()
	within(t, "many checks", often)
	talkTo(t, p).ask("pid")
	if _, n := c.State(); n != 0 || c.Process() != p {
		t.Errorf("it was restarted %d times", n)
	}
}

func firstDone(c *child.Child, p *child.Process) <-chan struct{} {
	if p == nil { // it was killed before we looked
		done := make(chan struct{})
		close(done)
		return done
	}
	return p.Done()
}
