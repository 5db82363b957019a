// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/bench/internal/party"
	"github.com/parley-ipc/parley/primitive/shm"
)

// futexPair is the least that two Go processes can do with a slot each way and
// a futex: no checks, no context, nobody's life watched.
type futexPair struct {
	out, in        slotView
	sent, received uint32
	bytes          []byte
}

// slotView is a slot: a word that counts messages, the size, the bytes.
type slotView struct {
	word *atomic.Uint32
	size *atomic.Uint32
	body []byte
}

const (
	slotBody = 128
	slotSize = slotBody + 1<<20
)

func futexRole(_ context.Context, s party.Side) (party.Runner, error) {
	f, err := os.OpenFile(s.Path("go-futex"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Truncate(2 * slotSize); err != nil {
		return nil, err
	}
	m, err := unix.Mmap(int(f.Fd()), 0, 2*slotSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, err
	}
	view := func(b []byte) slotView {
		return slotView{word: shm.Uint32(b, 0), size: shm.Uint32(b, 64), body: b[slotBody:]}
	}
	p := &futexPair{out: view(m[:slotSize]), in: view(m[slotSize:]), bytes: make([]byte, 1<<20)}
	if !s.Left {
		p.out, p.in = p.in, p.out
	}
	return duplexRunner(s, func() (duplex, error) { return p, nil }), nil
}

func (p *futexPair) send(size int) error {
	copy(p.out.body, p.bytes[:size])
	p.out.size.Store(uint32(size))
	p.sent++
	p.out.word.Store(p.sent)
	futexRouse(p.out.word)
	return nil
}

// sendMany would overwrite: the pair has one slot.
func (p *futexPair) sendMany(int, int) error { return unix.EINVAL }

func (p *futexPair) receive() (int, error) {
	for p.in.word.Load() == p.received {
		futexSleep(p.in.word, p.received)
	}
	p.received++
	n := int(p.in.size.Load())
	copy(p.bytes[:n], p.in.body)
	return n, nil
}
