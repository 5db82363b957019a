// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/topic"
)

// Config is what Open understands. The zero value works.
type Config struct {
	// Authorizer is asked for auth.Subscribe on "topic:NAME" for each process
	// that subscribes to what we publish, and for auth.Publish when we publish
	// ourselves. Default auth.OwnerOnly.
	Authorizer auth.Authorizer

	// Logger gets refused and dropped subscribers. Default: discarded.
	Logger *slog.Logger
}

// Engine hands out topics by name. Its methods may be called from many
// goroutines.
type Engine struct {
	addr endpoint.Address // immutable, as what follows
	cfg  Config
	ctx  context.Context // ends at Close
	stop context.CancelFunc

	mu   sync.Mutex
	open map[*hook]struct{} // guarded by mu
}

// hook is something that Close closes. close must be idempotent.
type hook struct{ close func() }

// Open returns the engine at a mem://NAME or mem://USER@NAME address. It makes
// nothing: what it hands out does, once it is used.
func Open(ctx context.Context, addr endpoint.Address, cfg Config) (*Engine, error) {
	switch {
	case addr.Scheme != endpoint.Mem || addr.Item != "":
		return nil, fault.New(fault.Invalid, "open", addr.String(), errors.New("it is no engine in memory")).WithHint("write mem://NAME")
	case !supported:
		return nil, fault.New(fault.Unsupported, "open", addr.String(), errors.New("shared memory needs Linux"))
	case ctx.Err() != nil:
		return nil, fault.Wrap("open", addr.String(), context.Cause(ctx))
	}
	if cfg.Authorizer == nil {
		cfg.Authorizer = auth.OwnerOnly{}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	e := &Engine{addr: addr, cfg: cfg, open: map[*hook]struct{}{}}
	e.ctx, e.stop = context.WithCancel(context.Background())
	return e, nil
}

// Topic returns the topic of that name. A name that cannot be one is an error
// of what is done with it.
func (e *Engine) Topic(name string) topic.Topic {
	addr := e.addr
	addr.Item = "topic/" + name
	return &memTopic{engine: e, name: name, addr: addr}
}

// TopicCapabilities are those of its topics.
func (e *Engine) TopicCapabilities() topic.Capabilities {
	return topic.Capabilities{Borrow: true, Admin: true}
}

// Close closes what was handed out. It is idempotent.
func (e *Engine) Close() error {
	e.stop()
	e.mu.Lock()
	hooks := slices.Collect(maps.Keys(e.open))
	e.mu.Unlock()
	for _, h := range hooks {
		h.close()
	}
	return nil
}

// keep has Close close h, at once if Close was before.
func (e *Engine) keep(h *hook) {
	e.mu.Lock()
	e.open[h] = struct{}{}
	e.mu.Unlock()
	if e.ctx.Err() != nil {
		h.close()
	}
}

func (e *Engine) forget(h *hook) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.open, h)
}

func (e *Engine) usable(op string) error {
	if e.ctx.Err() != nil {
		return fault.New(fault.Closed, op, e.addr.String(), nil)
	}
	return nil
}

// memTopic implements topic.Topic.
type memTopic struct {
	engine *Engine // immutable, as what follows
	name   string
	addr   endpoint.Address
}

var _ topic.Topic = (*memTopic)(nil)

// Name implements topic.Topic.
func (t *memTopic) Name() string { return t.name }

func (t *memTopic) resource() string { return "topic:" + t.name }

func (t *memTopic) check(op string) error {
	if err := t.engine.usable(op); err != nil {
		return err
	}
	return topic.CheckName(t.name)
}
