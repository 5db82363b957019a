// SPDX-License-Identifier: Apache-2.0

package message

import (
	"context"
	"testing"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
)

// lending is a recorder that lends up to 100 bytes.
type lending struct {
	recorder
	loan  []byte
	loans int
}

var _ transport.Lender = (*lending)(nil)

func (l *lending) Reserve(_ context.Context, n int) ([]byte, error) {
	l.loan = make([]byte, n, n+50)
	l.loans++
	return l.loan[:n+50], nil // more than was asked for
}

func (l *lending) Commit(n int) error {
	l.out = append(l.out, l.loan[:n]...)
	l.loan = nil
	return nil
}

func (l *lending) Peek(context.Context, int) ([]byte, error) { return nil, fault.Unsupported }
func (l *lending) Discard(int) error                         { return nil }
func (l *lending) MaxLoan() int                              { return 100 }

func TestReserveWritesInPlace(t *testing.T) {
	l := &lending{}
	c := NewConn(l, Config{})
	ctx := t.Context()
	for i, size := range []int{0, 10, 84, 85, 500} {
		r, err := c.Reserve(ctx, size)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Bytes()) != size {
			t.Fatalf("room for %d bytes, want %d", len(r.Bytes()), size)
		}
		n := copy(r.Bytes(), pattern(size/2))
		wantErr(t, r.Commit(ctx, size+1), fault.Invalid)
		if err := r.Commit(ctx, n); err != nil {
			t.Fatal(err)
		}
		wantErr(t, r.Commit(ctx, 0), fault.Invalid)
		r.Cancel()
		if want := min(i+1, 3); l.loans != want {
			t.Fatalf("%d loans after %d bytes, want %d", l.loans, size, want)
		}
	}
	r, err := c.Reserve(ctx, 20)
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithCancel(ctx)
	cancel()
	wantErr(t, c.Send(short, []byte("waits for the loan")), fault.Canceled)
	r.Cancel()
	r.Cancel()
	send(t, c, "after")
	_ = c.Close()

	b := NewConn(&playback{in: l.out, size: func() int { return 9 }}, Config{})
	for _, size := range []int{0, 10, 84, 85, 500} {
		wantReceive(t, b, string(pattern(size/2)))
	}
	wantReceive(t, b, "after")
	_ = b.Close()
}

func TestReserveWithoutLender(t *testing.T) {
	a, b := pair(t, Config{})
	r, err := a.Reserve(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	send(t, a, "others go on") // a pooled buffer excludes nobody
	if err := r.Commit(t.Context(), copy(r.Bytes(), "mine")); err != nil {
		t.Fatal(err)
	}
	wantReceive(t, b, "others go on")
	wantReceive(t, b, "mine")
	_, err = a.Reserve(t.Context(), -1)
	wantErr(t, err, fault.Invalid)
}

// contextual waits by context alone: it has no deadlines.
type contextual struct {
	devNull
	wrote [][]byte
	room  int
}

func (c *contextual) ReadContext(ctx context.Context, _ []byte) (int, error) {
	<-ctx.Done()
	return 0, ctx.Err()
}

func (c *contextual) WriteContext(ctx context.Context, p []byte) (int, error) {
	n := min(len(p), c.room)
	c.room -= n
	c.wrote = append(c.wrote, p[:n])
	if n < len(p) {
		<-ctx.Done()
		return n, ctx.Err()
	}
	return n, nil
}

func TestContextReaderAndWriter(t *testing.T) {
	c := &contextual{room: prefaceSize + headerSize + 3}
	a := NewConn(c, Config{Linger: 1})
	send(t, a, "abc")
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error, 2)
	go func() { errs <- a.Send(ctx, []byte("no room")) }()
	go func() { _, err := a.Receive(ctx); errs <- err }()
	cancel()
	for range 2 {
		wantErr(t, <-errs, fault.Canceled)
	}
	c.room = 1000
	send(t, a, "nothing of the other was written, so this is fine")
	_ = a.Close()
}
