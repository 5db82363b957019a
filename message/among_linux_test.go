// SPDX-License-Identifier: Apache-2.0

package message

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/inproc"
)

// TestMemoryAmongMessages: from many goroutines at once, with long and short
// messages around it, each memory stays with its message, and its sender may
// close it at once.
func TestMemoryAmongMessages(t *testing.T) {
	x, y := inproc.Pipe()
	t.Run("inproc", func(t *testing.T) { amongMessages(t, conn(t, x, Config{}), conn(t, y, Config{})) })
	overSockets(t, func(t *testing.T, l transport.Listener) {
		a, err := dial(l.Address().String())
		if err != nil {
			t.Fatal(err)
		}
		amongMessages(t, a, accepted(t, l))
	})
	wantNothingHeld(t)
}

func amongMessages(t *testing.T, a, b *Conn) {
	const senders, rounds = 4, 20
	ctx := background(t)
	var wg sync.WaitGroup
	for id := range byte(senders) {
		m := sealed(t, 5000, string([]byte{id}))
		wg.Go(func() {
			for round := range rounds {
				p := bytes.Repeat([]byte{id}, 1+round*(10<<10))
				mine, err := m.Borrow()
				if err == nil {
					err = a.SendMemory(ctx, mine, p)
					_ = mine.Close()
				}
				if err = errors.Join(err, a.Send(ctx, p)); err != nil {
					t.Error(err)
				}
			}
			_ = m.Close()
		})
	}
	wg.Go(func() {
		with, without := 0, 0
		for {
			m, err := b.Receive(ctx)
			if err != nil {
				if !errors.Is(err, io.EOF) || with != senders*rounds || without != with {
					t.Errorf("%d with memory and %d without, want %d each, then %v", with, without, senders*rounds, err)
				}
				return
			}
			mem := m.Memory()
			if mem == nil {
				without++
			} else {
				with++
				if p, err := mem.Bytes(); err != nil || p[0] != m.Bytes()[0] {
					t.Errorf("another message's memory, or %v", err)
				}
				_ = mem.Close()
			}
			m.Release()
			if with+without == 2*senders*rounds {
				if err := a.CloseWrite(ctx); err != nil {
					t.Error(err)
				}
			}
		}
	})
	wg.Wait()
	_, _ = a.Close(), b.Close()
}
