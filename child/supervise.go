// SPDX-License-Identifier: Apache-2.0

package child

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/parley-ipc/parley/fault"
)

// supervise sees one process after the other through. It ends when the child
// is over.
func (c *Child) supervise(p *Process) {
	pauses := c.config().pauses()
	for {
		replaced, err := c.attend(p)
		if replaced != nil {
			p = replaced
			continue
		}
		if c.ctx.Err() != nil {
			c.over(nil)
			return
		}
		if p = c.succeed(p, pauses, err); p == nil {
			return
		}
	}
}

// attend watches over one process until it has ended, or been replaced.
func (c *Child) attend(p *Process) (replaced *Process, err error) {
	sick := make(chan error, 1)
	watch, stop := context.WithCancel(c.ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		p.watchLife(watch, sick)
	}()
	defer func() { stop(); <-watched }()
	for {
		select {
		case <-p.Done():
			c.logEnd(p)
			return nil, p.Err()
		case <-c.ctx.Done():
			c.set(Starting, nil)
			p.wind(c.giveUp)
			return nil, nil
		case err := <-sick:
			p.cfg.Logger.Warn("child is killed: its checks fail", "child", p.cfg.Name, "pid", p.PID(), "error", err)
			c.set(Starting, nil)
			p.kill()
			<-p.Done()
			return nil, fault.New(fault.Timeout, "child", p.cfg.Name, err)
		case o := <-c.orders:
			next, err := c.beget(o)
			if err == nil {
				stop()
				p.wind(c.giveUp)
			}
			o.answer <- err
			if err == nil {
				return next, nil
			}
		}
	}
}

// beget starts what is to replace the current process, and makes it current.
func (c *Child) beget(o order) (*Process, error) {
	ctx, cancel := context.WithCancel(o.ctx)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()
	p, err := begetReady(ctx, o.cfg, false)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.cfg = o.cfg
	c.mu.Unlock()
	c.set(Ready, p)
	return p, nil
}

// pause waits before a restart, which Replace makes unnecessary, and Stop too:
// then ok is false.
func (c *Child) pause(d time.Duration) (replaced *Process, ok bool) {
	c.set(Pausing, nil)
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			return nil, true
		case <-c.ctx.Done():
			return nil, false
		case o := <-c.orders:
			p, err := c.beget(o)
			o.answer <- err
			if err == nil {
				return p, true
			}
		}
	}
}

func (c *Child) logEnd(p *Process) {
	how := "exit status 0"
	if err := p.Err(); err != nil {
		how = err.Error()
	}
	p.cfg.Logger.Info("child ended", "child", p.cfg.Name, "pid", p.PID(), "lived", time.Since(p.started).Round(time.Millisecond), "how", how)
}

// succeed brings the next process after one that ended with err, or ends the
// child.
func (c *Child) succeed(p *Process, pauses *pauses, err error) *Process {
	lived := time.Since(p.started)
	for {
		cfg := c.config()
		if cfg.Restart == Never || cfg.Restart == OnFailure && err == nil {
			c.over(err)
			return nil
		}
		pause, perr := pauses.after(time.Now(), lived)
		if perr != nil {
			c.over(fault.New(fault.Exhausted, "child", cfg.Name, errors.Join(perr, err)))
			return nil
		}
		replaced, ok := c.pause(pause)
		switch {
		case !ok:
			c.over(nil)
			return nil
		case replaced != nil:
			return replaced
		}
		c.mu.Lock()
		c.restarts++
		c.mu.Unlock()
		c.set(Starting, nil)
		var next *Process
		if next, err = begetReady(c.ctx, cfg, false); err == nil {
			c.set(Ready, next)
			return next
		}
		if c.ctx.Err() != nil {
			c.over(nil)
			return nil
		}
		cfg.Logger.Warn("child did not start", "child", cfg.Name, "error", err)
		lived = 0
	}
}

// wind drains the process, tells it to end, and kills what is left of its
// group once the grace has passed or hurry ends.
func (p *Process) wind(hurry context.Context) {
	defer func() { p.kill(); <-p.Done() }()
	if p.cfg.Drain != nil {
		ctx, cancel := context.WithTimeout(hurry, p.cfg.Grace)
		defer context.AfterFunc(p.ended(), cancel)()
		if err := p.bounded(ctx, p.cfg.Drain); err != nil {
			p.cfg.Logger.Warn("child was not drained", "child", p.cfg.Name, "pid", p.PID(), "error", err)
		}
		cancel()
	}
	if conn := p.Conn(); conn != nil {
		_ = conn.Close()
	}
	_ = p.Signal(p.cfg.StopSignal)
	grace := time.NewTimer(p.cfg.Grace)
	defer grace.Stop()
	select {
	case <-p.Done():
	case <-grace.C:
		p.cfg.Logger.Warn("child is killed: it did not end in time", "child", p.cfg.Name, "pid", p.PID(), "grace", p.cfg.Grace)
	case <-hurry.Done():
	}
}

// watchLife calls Live until ctx ends, and says when it has failed too often.
func (p *Process) watchLife(ctx context.Context, sick chan<- error) {
	if p.cfg.Live == nil {
		return
	}
	tick := time.NewTicker(p.cfg.LiveEvery)
	defer tick.Stop()
	for failures := 0; ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		case <-p.Done():
			return
		}
		check, cancel := context.WithTimeout(ctx, p.cfg.LiveEvery)
		err := p.bounded(check, p.cfg.Live)
		cancel()
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			failures = 0
			continue
		}
		if failures++; failures >= p.cfg.LiveFailures {
			sick <- fmt.Errorf("it failed %d checks in a row, the last with: %w", failures, err)
			return
		}
	}
}
