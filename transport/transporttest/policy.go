// SPDX-License-Identifier: Apache-2.0

package transporttest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
)

// stranger: whom policy denies gets no byte and is not handed to the program;
// the denial is counted and the next client is served.
func stranger(t *testing.T, b Backend) {
	const strangers = 3
	gate := &gate{}
	gate.denying.Store(true)
	l := listen(t, b, transport.ListenConfig{Authorizer: gate})
	for range strangers {
		refused(t, b, l)
	}
	gate.denying.Store(false)
	pingPong(t, b, l)
	if got := gate.wrong.Load(); got != nil {
		t.Errorf("policy was asked %s", *got)
	}
	counters := countersOf(t, b, l)
	if counters == nil {
		return
	}
	if denied, accepted := counters.Denied.Load(), counters.Accepted.Load(); denied != strangers || accepted != 1 {
		t.Errorf("Counters: denied %d, accepted %d, want %d and 1", denied, accepted, strangers)
	}
}

// gate denies while it is told to, and looks at what it is asked.
type gate struct {
	denying atomic.Bool
	wrong   atomic.Pointer[string]
}

func (g *gate) Authorize(_ context.Context, id auth.Identity, action auth.Action, resource string) error {
	if action != auth.Connect || !strings.HasPrefix(resource, "endpoint:") || id.Method == "" {
		s := fmt.Sprintf("whether %+v may %s %s", id, action, resource)
		g.wrong.Store(&s)
	}
	if g.denying.Load() {
		return fmt.Errorf("%w: rule 7 of the suite", fault.Denied)
	}
	return nil
}

// refused dials as one who is denied.
func refused(t *testing.T, b Backend, l transport.Listener) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	c, err := b.Dial(ctx, l.Address().String(), transport.DialConfig{})
	if err != nil {
		if ctx.Err() != nil || strings.Contains(err.Error(), "rule 7") {
			t.Errorf("a denied dial said %v", err)
		}
		return
	}
	defer func() { _ = c.Close() }()
	bound(t, c)
	n, err := c.Read(make([]byte, 64))
	if n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a denied peer read %d bytes, %v, want a closed connection", n, err)
	}
}

func countersOf(t testing.TB, b Backend, l transport.Listener) *endpoint.Counters {
	t.Helper()
	if b.NoCounters {
		return nil
	}
	c, ok := l.(interface{ Counters() *endpoint.Counters })
	if !ok {
		t.Errorf("%T has no Counters method", l)
		return nil
	}
	return c.Counters()
}

// identityWithin checks what each side knows of the other, both ourselves.
func identityWithin(t *testing.T, b Backend) {
	l := listen(t, b, transport.ListenConfig{})
	d, a := connect(t, b, l)
	me := self()
	sees(t, "the dialer", d.Peer(), b.DialerSees, me)
	sees(t, "the listener", a.Peer(), b.ListenerSees, me)
}

func self() Party {
	return Party{UID: uint32(max(os.Geteuid(), 0)), GID: uint32(max(os.Getegid(), 0)), PID: os.Getpid()}
}

func sees(t testing.TB, who string, got auth.Identity, expected func(Party) auth.Identity, other Party) {
	t.Helper()
	if expected == nil {
		t.Errorf("the Backend does not say whom %s sees", who)
		return
	}
	want := expected(other)
	same := got.Method == want.Method && got.HasUID == want.HasUID && got.UID == want.UID && got.GID == want.GID &&
		got.Name == want.Name && got.String() == want.String() && (want.PID == 0 || got.PID == want.PID)
	if !same {
		t.Errorf("%s sees %+v (%s), want %+v (%s)", who, got, got, want, want)
	}
}
