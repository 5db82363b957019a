// SPDX-License-Identifier: Apache-2.0

package transporttest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
)

func lend(t *testing.T, b Backend) {
	t.Run("Reserve", func(t *testing.T) { bothWays(t, b, lendReserve) })
	t.Run("PeekNeedsTrust", func(t *testing.T) { bothWays(t, b, lendUntrusted) })
	if b.TrustedPair == nil {
		t.Error("Backend.Lend without TrustedPair")
		return
	}
	trusting := b
	trusting.Pair = b.TrustedPair
	t.Run("Peek", func(t *testing.T) { bothWays(t, trusting, lendPeek) })
	t.Run("Waits", func(t *testing.T) { bothWays(t, trusting, lendWaits) })
}

func lender(t testing.TB, c transport.Conn) transport.Lender {
	t.Helper()
	l, ok := c.(transport.Lender)
	if !ok {
		t.Fatalf("%T is no Lender", c)
	}
	return l
}

// lendReserve writes in place at the edges of what can be lent.
func lendReserve(t *testing.T, near, far transport.Conn) {
	l := lender(t, near)
	for _, n := range []int{-1, l.MaxLoan() + 1} {
		if p, err := l.Reserve(t.Context(), n); err == nil {
			_ = l.Commit(0)
			t.Errorf("Reserve(%d) with MaxLoan %d lent %d bytes", n, l.MaxLoan(), len(p))
		} else if n > 0 && !errors.Is(err, fault.TooLarge) {
			t.Errorf("Reserve(MaxLoan+1): %v, want %v", err, fault.TooLarge)
		}
	}
	for i, n := range []int{0, 1, 4096, l.MaxLoan(), 7} {
		want := noise(uint64(i), n)
		p, err := l.Reserve(t.Context(), n)
		if err != nil || len(p) < n {
			t.Fatalf("Reserve(%d) = %d bytes, %v", n, len(p), err)
		}
		copy(p, want)
		if err := l.Commit(n); err != nil {
			t.Fatalf("Commit(%d): %v", n, err)
		}
		got := make([]byte, n)
		if _, err := io.ReadFull(far, got); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes written in place arrived changed, %v", n, err)
		}
	}
	lendGivenBack(t, l, far)
}

// lendGivenBack: Commit(0) sends nothing, and Commit of less sends the less.
func lendGivenBack(t *testing.T, l transport.Lender, far transport.Conn) {
	t.Helper()
	p, err := l.Reserve(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	copy(p, "discarded")
	if err := l.Commit(0); err != nil {
		t.Fatal(err)
	}
	if p, err = l.Reserve(t.Context(), 100); err != nil {
		t.Fatal(err)
	}
	if err := l.Commit(copy(p, "part")); err != nil {
		t.Fatal(err)
	}
	send(t, l, "ial")
	receive(t, far, "partial")
	if err := l.Commit(1); err == nil {
		t.Error("Commit without Reserve succeeded")
	}
}

func lendUntrusted(t *testing.T, near, far transport.Conn) {
	send(t, far, "x")
	if _, err := lender(t, near).Peek(t.Context(), 1); !errors.Is(err, fault.Unsupported) {
		t.Errorf("Peek without trust: %v, want %v", err, fault.Unsupported)
	}
	receive(t, near, "x")
}

// lendPeek reads in place, in part, mixed with Read, to the end.
func lendPeek(t *testing.T, near, far transport.Conn) {
	l := lender(t, near)
	if _, err := l.Peek(t.Context(), l.MaxLoan()+1); !errors.Is(err, fault.TooLarge) {
		t.Errorf("Peek(MaxLoan+1): %v, want %v", err, fault.TooLarge)
	}
	whole := noise(9, l.MaxLoan())
	go func() { _, _ = far.Write(whole) }()
	p, err := l.Peek(t.Context(), len(whole))
	if err != nil || !bytes.Equal(p[:min(len(p), len(whole))], whole) {
		t.Fatalf("Peek(MaxLoan) = %d bytes, %v", len(p), err)
	}
	if err := l.Discard(len(whole)); err != nil {
		t.Fatal(err)
	}
	send(t, far, "abcdefgh")
	for _, want := range []string{"abc", "abcdef", "abcdefgh"} {
		if p, err = l.Peek(t.Context(), len(want)); err != nil || len(p) < len(want) || string(p[:len(want)]) != want {
			t.Fatalf("Peek(%d) = %q, %v", len(want), p, err)
		}
		if err := l.Discard(0); err != nil {
			t.Fatal(err)
		}
	}
	if _, err = l.Peek(t.Context(), 2); err != nil || l.Discard(2) != nil {
		t.Fatal(err)
	}
	receive(t, near, "cdef")
	_ = far.CloseWrite()
	if p, err = l.Peek(t.Context(), 3); string(p) != "gh" || err != io.EOF { //nolint:errorlint // as Peek promises
		t.Fatalf("Peek at the end = %q, %v, want the rest and io.EOF", p, err)
	}
	if err := l.Discard(len(p)); err != nil {
		t.Fatal(err)
	}
	wantEOF(t, near)
}

// lendWaits: Reserve and Peek end with their context, and lose nothing.
func lendWaits(t *testing.T, near, far transport.Conn) {
	l := lender(t, near)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := l.Peek(ctx, 1); fault.KindOf(err) != fault.Timeout {
		t.Errorf("Peek of nothing: %v, want the context's end", err)
	}
	sent := 0
	for {
		if _, err := l.Reserve(ctx, 1000); err != nil {
			if fault.KindOf(err) != fault.Timeout {
				t.Errorf("Reserve of a full ring: %v, want the context's end", err)
			}
			break
		}
		if err := l.Commit(1000); err != nil {
			t.Fatal(err)
		}
		if sent += 1000; sent > 1<<30 {
			t.Fatal("a gigabyte was reserved and nobody read it")
		}
	}
	_ = near.CloseWrite()
	if n, err := io.Copy(io.Discard, far); err != nil || n != int64(sent) {
		t.Errorf("%d bytes arrived of %d, %v", n, sent, err)
	}
}
