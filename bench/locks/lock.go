// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	gofrsflock "github.com/gofrs/flock"
	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/bench/internal/party"
	"github.com/parley-ipc/parley/primitive/procsync"
)

// locker is what takes turns.
type locker interface {
	lock() error
	unlock() error
}

// fileLock is flock(2) with nothing around it.
type fileLock struct{ fd int }

func openFlock(_ context.Context, s party.Side) (locker, error) {
	fd, err := unix.Open(s.Path("go-flock"), unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	return fileLock{fd}, err
}

func (l fileLock) lock() error {
	for {
		if err := unix.Flock(l.fd, unix.LOCK_EX); err != unix.EINTR {
			return err
		}
	}
}

func (l fileLock) unlock() error { return unix.Flock(l.fd, unix.LOCK_UN) }

// gofrsLock is gofrs/flock.
type gofrsLock struct{ l *gofrsflock.Flock }

func openGofrs(_ context.Context, s party.Side) (locker, error) {
	return gofrsLock{gofrsflock.New(s.Path("gofrs"))}, nil
}

func (l gofrsLock) lock() error {
	for {
		if err := l.l.Lock(); err != unix.EINTR {
			return err
		}
	}
}

func (l gofrsLock) unlock() error { return l.l.Unlock() }

// mutex is procsync's, by name.
type mutex struct {
	ctx context.Context
	m   *procsync.Mutex
}

func openMutex(ctx context.Context, _ party.Side) (locker, error) {
	m, err := procsync.OpenMutex(ctx, "bench", procsync.Config{})
	return mutex{ctx, m}, err
}

func (l mutex) lock() error   { return l.m.Lock(l.ctx) }
func (l mutex) unlock() error { return l.m.Unlock() }

// permit is procsync's semaphore of one, by name.
type permit struct {
	ctx context.Context
	s   *procsync.Semaphore
}

func openSemaphore(ctx context.Context, _ party.Side) (locker, error) {
	sem, err := procsync.OpenSemaphore(ctx, "bench", 1, procsync.Config{})
	return permit{ctx, sem}, err
}

func (l permit) lock() error   { _, err := l.s.Acquire(l.ctx, 1); return err }
func (l permit) unlock() error { return l.s.Release(1) }

// reader is procsync's RWMutex, by name, locked for reading.
type reader struct {
	ctx context.Context
	m   *procsync.RWMutex
}

func openReader(ctx context.Context, _ party.Side) (locker, error) {
	m, err := procsync.OpenRWMutex(ctx, "bench", procsync.Config{})
	return reader{ctx, m}, err
}

func (l reader) lock() error   { _, err := l.m.RLock(l.ctx); return err }
func (l reader) unlock() error { return l.m.RUnlock() }
