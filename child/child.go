// SPDX-License-Identifier: Apache-2.0

package child

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/parley-ipc/parley/fault"
)

// State is where a supervised child stands.
//
//	        ┌───────────────── pause ◀───────────────┐
//	        ▼                                        │ Restart says so
//	starting ──handshake, Ready──▶ ready ──ended──▶ (ended)
//	        └──────failed──────────────▲─────────────┤ it does not, or too often
//	                                   │             ▼
//	                     Replace: new one ready    over ◀──Stop── any
type State uint8

// The states.
const (
	Starting State = iota
	Ready
	Pausing
	Over
)

var stateNames = [...]string{"starting", "ready", "pausing", "over"}

// String is the state's name.
func (s State) String() string { return stateNames[s] }

// Child is a supervised child. Its methods may be called at once.
type Child struct {
	ctx  context.Context // ended by Stop
	stop context.CancelFunc

	orders chan order    // of Replace, to the supervisor
	done   chan struct{} // closed when it is over

	mu       sync.Mutex
	cfg      Config        // guarded by mu
	state    State         // guarded by mu
	current  *Process      // guarded by mu; nil unless ready
	changed  chan struct{} // guarded by mu: closed and replaced with each change
	restarts int           // guarded by mu
	err      error         // guarded by mu: why it is over

	giveUp context.Context // ended when Stop loses its patience
	rush   context.CancelFunc
}

// order asks the supervisor to replace the child.
type order struct {
	ctx    context.Context
	cfg    Config
	answer chan error
}

// Start starts a child and returns once it is ready; with Survive it may find
// one alive. ctx bounds the start, not the child's life, which ends with Stop,
// or by itself where Restart allows. A start that fails is not repeated.
func Start(ctx context.Context, cfg Config) (*Child, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Child{cfg: cfg, orders: make(chan order), done: make(chan struct{}), changed: make(chan struct{})}
	c.ctx, c.stop = context.WithCancel(context.Background())
	c.giveUp, c.rush = context.WithCancel(context.Background())
	first, err := begetReady(ctx, cfg, true)
	if err != nil {
		return nil, err
	}
	c.set(Ready, first)
	go c.supervise(first)
	return c, nil
}

// begetReady starts a process, or finds one, and waits until it is ready.
func begetReady(ctx context.Context, cfg Config, find bool) (*Process, error) {
	if err := ctx.Err(); err != nil {
		return nil, fault.Wrap("start child", cfg.Name, context.Cause(ctx))
	}
	var p *Process
	var err error
	if find && cfg.Orphan == Survive {
		if p, err = attach(ctx, cfg); err != nil {
			return nil, err
		}
	}
	if p == nil {
		if p, err = spawn(ctx, cfg); err != nil {
			return nil, err
		}
	}
	if err := p.awaitReady(ctx); err != nil {
		p.kill()
		<-p.Done()
		if p.endedByItself() {
			return nil, fault.New(fault.PeerDied, "start child", cfg.Name, errors.Join(err, p.Err()))
		}
		return nil, fault.New(fault.KindOf(err), "start child", cfg.Name, err)
	}
	cfg.Logger.Info("child is ready", "child", cfg.Name, "pid", p.PID(), "attached", p.Attached())
	return p, nil
}

func (p *Process) awaitReady(ctx context.Context) error {
	if p.cfg.Ready == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, p.cfg.ReadyTimeout)
	defer cancel()
	defer context.AfterFunc(p.ended(), cancel)()
	if err := p.bounded(ctx, p.cfg.Ready); err != nil {
		return fmt.Errorf("not ready: %w", err)
	}
	return nil
}

// Process is the one that is ready now; nil while there is none.
func (c *Child) Process() *Process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current
}

// Await returns the one that is ready, waiting for it if need be. Once the
// child is over its error says why.
func (c *Child) Await(ctx context.Context) (*Process, error) {
	for {
		c.mu.Lock()
		p, state, changed, err := c.current, c.state, c.changed, c.err
		c.mu.Unlock()
		if p != nil && !p.isOver() {
			return p, nil
		}
		if state == Over {
			if err == nil {
				err = fault.New(fault.Closed, "child", c.name(), errors.New("it has ended"))
			}
			return nil, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fault.Wrap("await child", c.name(), context.Cause(ctx))
		}
	}
}

func (p *Process) isOver() bool {
	select {
	case <-p.Done():
		return true
	default:
		return false
	}
}

// State says where the child stands, and how often it has been restarted.
func (c *Child) State() (State, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state, c.restarts
}

// Done is closed when the child is over: stopped, ended for good or given up.
func (c *Child) Done() <-chan struct{} { return c.done }

// Err says, once Done is closed, why the child is over: nil after Stop or a
// good end.
func (c *Child) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Stop drains the child, tells it to end and returns once it is over. When ctx
// ends first, or Grace has passed, its process group is killed. It is
// idempotent.
func (c *Child) Stop(ctx context.Context) error {
	c.stop()
	defer context.AfterFunc(ctx, c.rush)()
	<-c.done
	return c.Err()
}

// Replace starts a new child as cfg says, waits until it is ready, makes it
// the current one, and then drains and stops the old. If the new one fails the
// old one goes on, and the error says why.
func (c *Child) Replace(ctx context.Context, cfg Config) error {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return err
	}
	o := order{ctx: ctx, cfg: cfg, answer: make(chan error, 1)}
	select {
	case c.orders <- o:
		return <-o.answer
	case <-c.done:
		return fault.New(fault.Closed, "replace child", cfg.Name, errors.New("it is over"))
	case <-ctx.Done():
		return fault.Wrap("replace child", cfg.Name, context.Cause(ctx))
	}
}

func (c *Child) name() string { return c.config().Name }

func (c *Child) config() Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cfg
}

// set changes the state and tells those who wait for that.
func (c *Child) set(s State, p *Process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state, c.current = s, p
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *Child) over(err error) {
	c.mu.Lock()
	c.err = err
	c.mu.Unlock()
	c.set(Over, nil)
	c.stop()
	c.rush()
	close(c.done)
}
