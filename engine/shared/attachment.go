// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/unixconn"
	"github.com/parley-ipc/parley/primitive/broadcast"
	"github.com/parley-ipc/parley/topic"
	"github.com/parley-ipc/parley/transport"
)

var longAgo = time.Unix(1, 0)

// attachment is a subscription's hold on one publisher: its ring, and the
// socket on which it sleeps and learns of the publisher's end.
type attachment struct {
	*broadcast.Subscriber
	sock    *net.UnixConn
	raw     syscall.RawConn
	closed  *atomic.Bool // the subscription's
	dropped bool         // said by the publisher

	buf    [64]byte
	n      int // of buf, by hearFn
	ended  bool
	hearFn func(fd uintptr) bool // these are allocated once
	ringFn func(fd uintptr)
	bell   [1]byte
	kickFn func()
}

// request is what a subscription wants of the publisher that it finds.
type request struct {
	addr    endpoint.Address
	cfg     topic.SubscribeConfig
	policy  topic.Policy // cfg's, or lossy where newest is picked out by ourselves
	match   func(head []byte) bool
	all     bool // take everything that is kept: it was published since we began to wait
	closed  *atomic.Bool
	program string
}

// attach finds the publisher and exchanges memory with it. Nobody there is
// fault.Unavailable.
func attach(ctx context.Context, q request) (*attachment, error) {
	late := fault.New(fault.Unavailable, "subscribe", "", errors.New("the publisher does not answer"))
	ctx, cancel := context.WithTimeoutCause(ctx, transport.DefaultHandshakeTimeout, late)
	defer cancel()
	path, err := endpoint.DialPath(q.addr)
	if err != nil {
		return nil, err
	}
	sock, err := unixconn.Dial(ctx, path, q.addr.String())
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = sock.SetDeadline(longAgo) })
	a := &attachment{sock: sock, closed: q.closed}
	err = a.shake(q)
	if !stop() && err == nil {
		err = fault.Wrap("subscribe", q.addr.String(), context.Cause(ctx))
	}
	if err == nil {
		err = sock.SetDeadline(time.Time{})
	}
	if err != nil {
		a.close()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, subscribeError(q.addr, err)
	}
	return a, nil
}

func subscribeError(addr endpoint.Address, err error) error {
	var e *fault.Error
	if errors.As(err, &e) {
		return fault.New(e.Kind, "subscribe", addr.String(), e.Err).WithHint(e.Hint)
	}
	return fault.Wrap("subscribe", addr.String(), err)
}

// shake is the subscriber's side of the handshake, bounded by the socket's
// deadline.
func (a *attachment) shake(q request) (err error) {
	if a.raw, err = a.sock.SyscallConn(); err != nil {
		return err
	}
	a.prepare()
	name := q.cfg.Name
	if name == "" {
		name = q.program
	}
	_, werr := a.sock.Write(hello{policy: q.policy, patience: q.cfg.Patience, name: name}.encode())
	segment, ans, err := a.answer(1)
	if err != nil {
		if fault.KindOf(err) == fault.PeerDied && werr != nil {
			err = werr
		}
		return err
	}
	if ans.ring > uint64(q.cfg.MaxRing) {
		_ = segment.Close()
		return fault.New(fault.TooLarge, "subscribe", "", fmt.Errorf("the publisher's ring has %d bytes, at most %d", ans.ring, q.cfg.MaxRing)).WithHint("set SubscribeConfig.MaxRing")
	}
	fd, err := takeFD(segment)
	if err != nil {
		return err
	}
	sc := broadcast.SubscribeConfig{
		Policy: broadcast.Policy(q.policy), Last: q.cfg.Last, Match: q.match,
		Wait: a.wait, Wake: a.wake, Spin: broadcast.Spin(q.cfg.Spin),
	}
	if q.all {
		sc.Last, sc.Match = math.MaxInt, nil
	}
	if a.Subscriber, err = broadcast.Subscribe(fd, int(ans.ring), sc); err != nil {
		return err
	}
	var m [8]byte
	putMagic(m[:])
	if err := sendFD(a.sock, m[:], a.Control().FD()); err != nil {
		return err
	}
	_, _, err = a.answer(0)
	return err
}

// answer reads what the publisher says, with its segment or without.
func (a *attachment) answer(files int) (segment *os.File, ans answer, err error) {
	var b [answerSize]byte
	f, err := receive(a.sock, b[:])
	if err != nil {
		return nil, ans, err
	}
	ans, err = decodeAnswer(b[:])
	switch {
	case err != nil:
	case ans.status != 0:
		err = refusal(ans.status)
	case len(f) != files:
		err = errFiles(len(f), files)
	default:
		if files == 0 {
			return nil, ans, nil
		}
		return f[0], ans, nil
	}
	closeFiles(f)
	return nil, ans, err
}

// refusal is what a publisher's status means to us.
func refusal(kind fault.Kind) error {
	switch kind {
	case fault.Denied:
		return fault.New(fault.Denied, "subscribe", "", errors.New("its policy does not admit us")).WithHint("its owner can add a rule: may subscribe, on topic:NAME")
	case fault.Exhausted:
		return fault.New(fault.Exhausted, "subscribe", "", errors.New("it has no place left for us, or no memory"))
	case fault.Unsupported:
		return fault.New(fault.Unsupported, "subscribe", "", errors.New("its publisher does not do that: it speaks another version, or waits for nobody")).WithHint("subscribe as lossy or latest")
	case fault.Closed, fault.Canceled, fault.Timeout:
		return fault.New(fault.PeerDied, "subscribe", "", errors.New("its publisher is closing"))
	}
	return fault.New(fault.Protocol, "subscribe", "", fmt.Errorf("its publisher refused us: %w", kind))
}

// prepare makes the functions that must not be allocated later.
func (a *attachment) prepare() {
	a.bell[0] = msgWake
	a.hearFn = func(fd uintptr) bool {
		var nothing bool
		a.n, a.ended, nothing = hear(int(fd), a.buf[:])
		return !nothing
	}
	a.ringFn = func(fd uintptr) { say(int(fd), &a.bell) }
	a.kickFn = a.kick
}

// kick ends a wait, now or the next.
func (a *attachment) kick() { _ = a.sock.SetReadDeadline(longAgo) }

// wake ends the publisher's wait.
func (a *attachment) wake() { _ = a.raw.Control(a.ringFn) }

var errPublisherGone = fault.New(fault.PeerDied, "receive", "", errors.New("the publisher has gone"))

// wait sleeps until the publisher says something or is gone. A deadline that
// comes from the context of an earlier wait ends it early, which is allowed.
func (a *attachment) wait(ctx context.Context) error {
	if a.dropped {
		return topic.ErrDropped
	}
	if ctx.Done() != nil {
		stop := context.AfterFunc(ctx, a.kickFn)
		defer stop()
	}
	a.n, a.ended = 0, false
	if err := a.raw.Read(a.hearFn); err != nil {
		_ = a.sock.SetReadDeadline(time.Time{})
		switch {
		case a.closed.Load():
			return fault.Closed
		case ctx.Err() != nil:
			return ctx.Err()
		case fault.KindOf(err) != fault.Timeout:
			return err
		}
		return nil
	}
	for _, c := range a.buf[:a.n] {
		a.dropped = a.dropped || c == msgDropped
	}
	switch {
	case a.dropped:
		return topic.ErrDropped
	case a.ended:
		return errPublisherGone
	}
	return nil
}

func (a *attachment) close() {
	if a.Subscriber != nil {
		_ = a.Subscriber.Close()
	}
	_ = a.sock.Close()
}
