// SPDX-License-Identifier: Apache-2.0

package procsync_test

import (
	"context"
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"github.com/parley-ipc/parley/primitive/procsync"
)

// FuzzHostileWords: whatever stands in the memory, no call panics, reads out
// of range, or goes on for long after its context or its handle has ended. data
// is a list of writes: four bytes of place, eight of value.
func FuzzHostileWords(f *testing.F) {
	write := func(off uint32, value uint64) []byte {
		return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32(nil, off), value)
	}
	for kind := range 6 {
		for _, value := range []uint64{0, 1, 2, 3, 64, 65, 121, 255, 1 << 8, 1 << 9, 1<<9 | 2, 1 << 10, 1<<11 | 1, 1<<11 | 2, 1 << 62, ^uint64(0)} {
			var data []byte
			for _, off := range []uint32{128, 256, 264, 384, 512, 520, 640, 648, 768, 776, 768 + 192, 1024 + 192} {
				data = append(data, write(off, value)...)
			}
			f.Add(uint8(kind), data)
			f.Add(uint8(kind), write(128, value))
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		k := procsync.Kinds()[int(kind)%len(procsync.Kinds())]
		s := procsync.Shape{Kind: k, Participants: 3}
		if k == procsync.KindSemaphore || k == procsync.KindBarrier {
			s.Count = 2
		}
		o := create(t, s)
		var use []func(context.Context)
		var closers []func() error
		for range 2 {
			u, c := user(t, o, k)
			use, closers = append(use, u), append(closers, c)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		for _, u := range use {
			wg.Go(func() {
				for range 5 {
					u(ctx)
				}
			})
		}
		for ; len(data) >= 12; data = data[12:] {
			off := int(binary.LittleEndian.Uint32(data)) % (len(o.mem) / 8) * 8
			procsync.Words(o.mem)[off/8].Store(binary.LittleEndian.Uint64(data[4:]))
		}
		ended := make(chan struct{})
		go func() {
			wg.Wait()
			for _, c := range closers {
				_ = c()
			}
			close(ended)
		}()
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			panic("a call goes on although its context has ended")
		}
	})
}

// user attaches to the object and returns what uses all of it.
func user(t *testing.T, o *object, k procsync.Kind) (use func(context.Context), closeIt func() error) {
	t.Helper()
	c := procsync.Config{}
	switch k {
	case procsync.KindMutex:
		m := o.mutex(t)
		return func(ctx context.Context) {
			_ = m.Lock(ctx)
			_, _ = m.TryLock()
			m.Holder()
			m.Participants()
			_ = m.MarkConsistent()
			_, _ = m.Unlock(), m.Reset()
		}, m.Close
	case procsync.KindRWMutex:
		m, err := procsync.AttachRWMutex(o.mem, o.file, c)
		fatal(t, err)
		return func(ctx context.Context) {
			_, _ = m.RLock(ctx)
			_ = m.RUnlock()
			_, _ = m.Lock(ctx)
			_, _, _ = m.TryRLock()
			_, _, _ = m.MarkConsistent(), m.Unlock(), m.Reset()
		}, m.Close
	case procsync.KindSemaphore:
		s, err := procsync.AttachSemaphore(o.mem, o.file, c)
		fatal(t, err)
		return func(ctx context.Context) {
			_, _ = s.Acquire(ctx, 2)
			_, _, _ = s.TryAcquire(1)
			s.Available()
			_ = s.Release(1)
			s.Participants()
		}, s.Close
	case procsync.KindEvent:
		e, err := procsync.AttachEvent(o.mem, o.file, c)
		fatal(t, err)
		return func(ctx context.Context) { _, _, _ = e.Wait(ctx), e.Set(), e.Reset() }, e.Close
	case procsync.KindBarrier:
		b, err := procsync.AttachBarrier(o.mem, o.file, c)
		fatal(t, err)
		return func(ctx context.Context) { _, _ = b.Wait(ctx); b.Participants() }, b.Close
	default:
		cond, err := procsync.AttachCond(o.mem, o.file, c)
		fatal(t, err)
		return func(ctx context.Context) {
			other := create(t, mutexShape())
			m := other.mutex(t)
			_ = m.Lock(ctx)
			_ = cond.Wait(ctx, m)
			_, _ = cond.Signal(), cond.Broadcast()
		}, cond.Close
	}
}

func fatal(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
