// SPDX-License-Identifier: Apache-2.0

package procsync_test

import (
	"context"
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/primitive/procsync"
)

// BenchmarkMutex is one Lock and Unlock that nobody contends.
func BenchmarkMutex(b *testing.B) {
	o := create(b, mutexShape())
	m, ctx := o.mutex(b), context.Background()
	for b.Loop() {
		if err := m.Lock(ctx); err != nil {
			b.Fatal(err)
		}
		if err := m.Unlock(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMutexContended is one Lock and Unlock beside a process that does
// nothing else.
func BenchmarkMutexContended(b *testing.B) {
	o := create(b, mutexShape())
	p := proctest.Start(b, "count", o.path, "0")
	p.Expect("go")
	m, ctx := o.mutex(b), context.Background()
	most := uint64(0)
	m.OnPassed(func(passed uint64) { most = max(most, passed) })
	for b.Loop() {
		if err := m.Lock(ctx); err != nil {
			b.Fatal(err)
		}
		// As the other does.
		put(o.extra, atNext, get(o.extra, atCount)+1)
		put(o.extra, atToken, m.Token())
		put(o.extra, atCount, get(o.extra, atNext))
		if err := m.Unlock(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(most), "passed-at-most")
}

// BenchmarkWakeUp is a round trip by two events: each side waits for the
// other. Asleep is two wake-ups of a sleeping process.
func BenchmarkWakeUp(b *testing.B) {
	for _, mode := range []string{"spin", "asleep"} {
		b.Run(mode, func(b *testing.B) {
			there, back := create(b, procsync.Shape{Kind: procsync.KindEvent}), create(b, procsync.Shape{Kind: procsync.KindEvent})
			p := proctest.Start(b, "answer", there.path, back.path, mode)
			p.Expect("go")
			c := procsync.Config{NoSpin: mode == "asleep"}
			go2, err := procsync.AttachEvent(there.mem, there.file, c)
			if err != nil {
				b.Fatal(err)
			}
			defer go2.Close()
			come, err := procsync.AttachEvent(back.mem, back.file, c)
			if err != nil {
				b.Fatal(err)
			}
			defer come.Close()
			for b.Loop() {
				if err := errors.Join(go2.Set(), come.Wait(bg), come.Reset()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// answer sets the event of Args[1] whenever that of Args[0] is set.
func answer(p *proctest.Self) error {
	var events [2]*procsync.Event
	for i, path := range p.Args[:2] {
		o, err := openObject(path)
		if err != nil {
			return err
		}
		if events[i], err = procsync.AttachEvent(o.mem, o.file, procsync.Config{NoSpin: p.Args[2] == "asleep"}); err != nil {
			return err
		}
	}
	p.Say("go")
	for {
		if err := errors.Join(events[0].Wait(bg), events[0].Reset(), events[1].Set()); err != nil {
			return err
		}
	}
}

// BenchmarkSemaphore is one Acquire and Release that nobody contends.
func BenchmarkSemaphore(b *testing.B) {
	o := create(b, procsync.Shape{Kind: procsync.KindSemaphore, Count: 1})
	s, err := procsync.AttachSemaphore(o.mem, o.file, procsync.Config{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	ctx := context.Background()
	for b.Loop() {
		if _, err := s.Acquire(ctx, 1); err != nil {
			b.Fatal(err)
		}
		if err := s.Release(1); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRLock is one RLock and RUnlock that nobody contends.
func BenchmarkRLock(b *testing.B) {
	o := create(b, procsync.Shape{Kind: procsync.KindRWMutex})
	m, err := procsync.AttachRWMutex(o.mem, o.file, procsync.Config{})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	ctx := context.Background()
	for b.Loop() {
		if _, err := m.RLock(ctx); err != nil {
			b.Fatal(err)
		}
		if err := m.RUnlock(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFlock is the same with flock(2), for comparison.
func BenchmarkFlock(b *testing.B) {
	o := create(b, mutexShape())
	fd := int(o.file.Fd())
	for b.Loop() {
		if err := unix.Flock(fd, unix.LOCK_EX); err != nil {
			b.Fatal(err)
		}
		if err := unix.Flock(fd, unix.LOCK_UN); err != nil {
			b.Fatal(err)
		}
	}
}
