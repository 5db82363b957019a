// SPDX-License-Identifier: Apache-2.0

package message

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-ipc/parley/fault"
)

func TestBothWays(t *testing.T) {
	a, b := pair(t, Config{})
	send(t, a, "ping")
	wantReceive(t, b, "ping")
	send(t, b, "")
	wantReceive(t, a, "")
}

func TestReceiveFirstGreets(t *testing.T) {
	x, y := sockets(t)
	a := conn(t, plain{x}, Config{})
	got := make(chan error, 1)
	ctx, cancel := context.WithCancel(background(t))
	go func() {
		_, err := a.Receive(ctx)
		got <- err
	}()
	p := make([]byte, prefaceSize)
	if _, err := io.ReadFull(y, p); err != nil || checkPreface(p) != nil {
		t.Fatalf("read %q, %v, want a preface", p, err)
	}
	cancel()
	wantErr(t, <-got, fault.Canceled, context.Canceled)
}

func TestReceiveFirstOnUnbufferedTransport(t *testing.T) {
	x, y := net.Pipe()
	a, b := conn(t, plain{x}, Config{Linger: time.Millisecond}), conn(t, plain{y}, Config{Linger: time.Millisecond})
	var wg sync.WaitGroup
	for _, c := range []*Conn{a, b} {
		wg.Go(func() { wantReceive(t, c, "hello") })
	}
	send(t, a, "hello")
	send(t, b, "hello")
	wg.Wait()
}

func TestBatchArrivesInOrder(t *testing.T) {
	a, b := pair(t, Config{})
	var batch [][]byte
	for i := range 1000 {
		batch = append(batch, bytes.Repeat([]byte{byte(i)}, i))
	}
	errs := make(chan error, 1)
	go func() { errs <- a.SendBatch(background(t), batch) }()
	for _, p := range batch {
		wantReceive(t, b, string(p))
	}
	if err := <-errs; err != nil {
		t.Fatal(err)
	}
}

func TestBatchIsOneWrite(t *testing.T) {
	w := &counting{Conn: devNull{}}
	c := NewConn(w, Config{})
	defer func() { _ = c.Close() }()
	send(t, c, "greeting and message together")
	if err := c.SendBatch(background(t), [][]byte{[]byte("one"), nil, []byte("three")}); err != nil {
		t.Fatal(err)
	}
	if w.writes != 2 {
		t.Fatalf("%d writes for a Send and a SendBatch, want 2", w.writes)
	}
}

func TestConcurrentSendersKeepTheirOrder(t *testing.T) {
	const senders, each = 8, 200
	a, b := pair(t, Config{})
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for i := range each {
				p := fmt.Appendf(nil, "%d %d ", s, i)
				p = append(p, bytes.Repeat([]byte{'x'}, i*s*40)...)
				if err := a.Send(background(t), p); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	var next [senders]int
	for range senders * each {
		p := receive(t, b)
		var s, i int
		if _, err := fmt.Sscanf(p, "%d %d", &s, &i); err != nil {
			t.Fatal(err)
		}
		if i != next[s] || len(p) != len(fmt.Sprintf("%d %d ", s, i))+i*s*40 {
			t.Fatalf("sender %d: message %d of %d bytes, want message %d", s, i, len(p), next[s])
		}
		next[s]++
	}
	wg.Wait()
}

func TestConcurrentReceiversShareTheMessages(t *testing.T) {
	const receivers, total = 4, 400
	a, b := pair(t, Config{})
	seen := make(chan string, total)
	var wg sync.WaitGroup
	for range receivers {
		wg.Go(func() {
			for {
				m, err := b.Receive(background(t))
				if err != nil {
					wantErr(t, err, io.EOF)
					return
				}
				seen <- string(m.Bytes())
				m.Release()
			}
		})
	}
	for i := range total {
		send(t, a, fmt.Sprint(i))
	}
	if err := a.CloseWrite(background(t)); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	close(seen)
	got := map[string]bool{}
	for s := range seen {
		got[s] = true
	}
	if len(got) != total {
		t.Fatalf("%d different messages, want %d", len(got), total)
	}
}

func TestGoodbyeIsEOF(t *testing.T) {
	a, b := pair(t, Config{})
	send(t, a, "last")
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	wantReceive(t, b, "last")
	for range 2 {
		if err := receiveErr(t, b); err != io.EOF { //nolint:errorlint // the very value
			t.Fatalf("after a goodbye: %v, want io.EOF", err)
		}
	}
}

func TestCutIsNotEOF(t *testing.T) {
	for name, write := range map[string][]byte{
		"nothing":     nil,
		"preface":     appendPreface(nil),
		"half header": append(appendPreface(nil), 1, 0, 0),
		"half body":   append(appendHeader(appendPreface(nil), header{length: 5, kind: kindMessage}), "abc"...),
		"half bye":    appendHeader(appendPreface(nil), header{length: 5, kind: kindGoodbye}),
	} {
		t.Run(name, func(t *testing.T) {
			x, y := sockets(t)
			b := conn(t, plain{y}, Config{})
			_, _ = x.Write(write)
			_ = x.Close()
			for range 2 {
				err := receiveErr(t, b)
				wantErr(t, err, io.ErrUnexpectedEOF, fault.PeerDied)
				if errors.Is(err, io.EOF) {
					t.Fatalf("%v is io.EOF", err)
				}
			}
		})
	}
}

func TestHalfClose(t *testing.T) {
	a, b := pair(t, Config{})
	ctx := background(t)
	send(t, a, "question")
	for range 2 {
		if err := a.CloseWrite(ctx); err != nil {
			t.Fatal(err)
		}
	}
	wantErr(t, a.Send(ctx, nil), fault.Closed)
	wantReceive(t, b, "question")
	wantErr(t, receiveErr(t, b), io.EOF)
	send(t, b, "answer")
	wantReceive(t, a, "answer")
}

func TestCloseWakesEverybody(t *testing.T) {
	a, b := pair(t, Config{Linger: 10 * time.Millisecond})
	ctx := background(t)
	errs := make(chan error, 3)
	for range 2 {
		go func() {
			_, err := a.Receive(ctx)
			errs <- err
		}()
	}
	go func() { // b does not read: this one fills the socket and blocks
		err := error(nil)
		for err == nil {
			err = a.Send(ctx, make([]byte, 1<<20))
		}
		errs <- err
	}()
	for range 2 { // everybody is at it once b has been greeted by the blocked one
		send(t, b, "wake one")
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
		go func() {
			_, err := a.Receive(ctx)
			errs <- err
		}()
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		wantErr(t, <-errs, fault.Closed, net.ErrClosed)
	}
	wantErr(t, a.Send(ctx, nil), fault.Closed)
	wantErr(t, receiveErr(t, a), fault.Closed)
	if err := a.Close(); err != nil {
		t.Fatalf("second Close: %v", err)
	}
}

func TestCloseGivesUpOnASilentPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := net.Pipe()
		a := NewConn(plain{x}, Config{})
		begin := time.Now()
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(begin); d != DefaultLinger {
			t.Fatalf("Close took %v, want %v", d, DefaultLinger)
		}
		_ = y.Close()
	})
}

func TestMaxSize(t *testing.T) {
	const limit = 1000
	a, b := pair(t, Config{MaxSize: limit})
	ctx := background(t)
	for _, n := range []int{0, 1, limit - 1, limit} {
		send(t, a, string(make([]byte, n)))
		wantReceive(t, b, string(make([]byte, n)))
	}
	wantErr(t, a.Send(ctx, make([]byte, limit+1)), fault.TooLarge)
	wantErr(t, a.SendBatch(ctx, [][]byte{nil, make([]byte, limit+1)}), fault.TooLarge)
	_, err := a.Reserve(ctx, limit+1)
	wantErr(t, err, fault.TooLarge)
	send(t, a, "still fine")
	wantReceive(t, b, "still fine")
}

func TestTooLargeIsToldToTheSender(t *testing.T) {
	x, y := sockets(t)
	a, b := conn(t, plain{x}, Config{}), conn(t, plain{y}, Config{MaxSize: 10})
	send(t, a, "eleven byte")
	wantErr(t, receiveErr(t, b), fault.TooLarge)
	wantErr(t, receiveErr(t, a), fault.TooLarge)
}

func TestCloseWithReason(t *testing.T) {
	a, b := pair(t, Config{})
	long := string(bytes.Repeat([]byte("é"), 400))
	if err := a.CloseWith(fault.Exhausted, long); err != nil {
		t.Fatal(err)
	}
	wantErr(t, receiveErr(t, b), fault.Exhausted)
	ctx := background(t)
	wantErr(t, firstError(func() error { return b.Send(ctx, []byte("x")) }), fault.Exhausted)
}

// firstError calls f until it fails.
func firstError(f func() error) error {
	for {
		if err := f(); err != nil {
			return err
		}
	}
}
