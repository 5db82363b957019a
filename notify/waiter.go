// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/unix"
)

// Config says who may notify. Its zero value works.
type Config struct {
	// Authorizer is asked for auth.Signal on "notify:NAME" for each
	// notification. Default auth.OwnerOnly.
	Authorizer auth.Authorizer
	// Logger gets what was refused. Default: discarded.
	Logger *slog.Logger
}

// Notification is what has come since the last one: the newest payload, and
// how many there were.
type Notification struct {
	Payload []byte        // of the newest; may be empty
	From    auth.Identity // whose it is
	At      time.Time     // when it was taken
	Count   uint64        // this one and those it replaced: 1 if none was missed
}

// Waiter has a name and receives its notifications. Its methods may be called
// at once.
type Waiter struct {
	ln transport.Listener

	ctx   context.Context // ended by Close
	close context.CancelFunc
	wg    sync.WaitGroup

	mu      sync.Mutex
	pending Notification  // guarded by mu; Count 0: none
	news    chan struct{} // holds a token while there may be one
}

const (
	// takeTime is how long a peer may take to say its notification.
	takeTime = 5 * time.Second
	// maxTaking bounds those who are saying theirs; others wait to be accepted.
	maxTaking = 64
)

// Wait claims name for this process, and notifications that come from then on
// are kept for Next. Somebody alive who waits there already is fault.InUse.
func Wait(ctx context.Context, name string, cfg Config) (*Waiter, error) {
	addr, err := Address(name)
	if err != nil {
		return nil, err
	}
	policy := cfg.Authorizer
	if policy == nil {
		policy = auth.OwnerOnly{}
	}
	resource := "notify:" + name
	ln, err := unix.Listen(ctx, addr, transport.ListenConfig{
		Logger: cfg.Logger,
		Authorizer: auth.AuthorizerFunc(func(ctx context.Context, id auth.Identity, _ auth.Action, _ string) error {
			return policy.Authorize(ctx, id, auth.Signal, resource)
		}),
		Refuse: func(c transport.Conn) { _, _ = c.Write([]byte{answerDenied}) },
	})
	if err != nil {
		return nil, fault.Wrap("wait for notifications", name, err)
	}
	w := &Waiter{ln: ln, news: make(chan struct{}, 1)}
	w.ctx, w.close = context.WithCancel(context.Background())
	w.wg.Go(w.accept)
	return w, nil
}

// accept takes one notification a connection.
func (w *Waiter) accept() {
	taking := make(chan struct{}, maxTaking)
	for {
		c, err := w.ln.AcceptConn(w.ctx)
		if err != nil {
			return
		}
		taking <- struct{}{}
		w.wg.Go(func() {
			defer func() { <-taking }()
			w.take(c)
		})
	}
}

func (w *Waiter) take(c transport.Conn) {
	defer func() { _ = c.Close() }()
	defer context.AfterFunc(w.ctx, func() { _ = c.Close() })()
	_ = c.SetDeadline(time.Now().Add(takeTime))
	payload, err := read(c)
	if err != nil {
		if !errors.Is(err, io.EOF) {
			_, _ = c.Write([]byte{answerBroken})
		}
		return
	}
	w.mu.Lock()
	w.pending = Notification{Payload: payload, From: c.Peer(), At: time.Now(), Count: w.pending.Count + 1}
	w.mu.Unlock()
	select {
	case w.news <- struct{}{}:
	default:
	}
	_, _ = c.Write([]byte{answerTaken}) // it is ours, whether the peer hears that or not
}

// Next waits for a notification, until ctx ends or the Waiter is closed.
func (w *Waiter) Next(ctx context.Context) (Notification, error) {
	for {
		w.mu.Lock()
		n := w.pending
		w.pending = Notification{}
		w.mu.Unlock()
		if n.Count > 0 {
			return n, nil
		}
		select {
		case <-w.news:
		case <-ctx.Done():
			return Notification{}, fault.Wrap("wait for notifications", w.ln.Address().String(), context.Cause(ctx))
		case <-w.ctx.Done():
			return Notification{}, fault.New(fault.Closed, "wait for notifications", w.ln.Address().String(), nil)
		}
	}
}

// Close gives the name up. A Next under way ends with fault.Closed. It is
// idempotent.
func (w *Waiter) Close() error {
	w.close()
	err := w.ln.Close()
	w.wg.Wait()
	return err
}
