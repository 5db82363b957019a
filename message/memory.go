// SPDX-License-Identifier: Apache-2.0

package message

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/shm"
)

// SendMemory sends p as one message, and with it the sealed memory m, whatever
// its size in constant time: only its file travels. The peer's Receive returns
// a message whose Memory is a handle of its own. m stays the caller's, who may
// close it at once. p is meant for a few words about m.
//
// It is fault.Invalid if m is not sealed, and fault.Unsupported where files do
// not travel. A peer older than this kind of message ends the connection with
// fault.Protocol. Other errors are Send's.
func (c *Conn) SendMemory(ctx context.Context, m *shm.Memory, p []byte) error {
	if c.w.passer == nil {
		return c.noFiles()
	}
	if len(p) > c.cfg.MaxSize {
		return c.tooLarge("send", len(p))
	}
	held, err := m.Borrow() // keeps the file open
	if err != nil {
		return err
	}
	defer func() { _ = held.Close() }()
	f, err := held.File()
	if err != nil {
		return err
	}
	if ended(ctx) || !c.w.lock.acquire(ctx, c.closed) {
		return c.gaveUp(ctx, "send")
	}
	err = c.w.memory(ctx, uint64(m.Size()), p, f)
	c.w.lock.release()
	if err != nil {
		return c.explain(err)
	}
	return nil
}

// memory writes one memory frame.
func (w *writer) memory(ctx context.Context, size uint64, p []byte, f *os.File) error {
	h := header{length: uint32(memorySize + len(p)), kind: kindMemory, files: 1}
	return w.do(ctx, min(prefaceSize+headerSize+memorySize+len(p), stageSize), func(s *stage) error {
		var b [memorySize]byte
		binary.LittleEndian.PutUint64(b[:], size)
		if err := s.frame(h, b[:], []*os.File{f}); err != nil {
			return err
		}
		if err := s.payload(p); err != nil {
			return err
		}
		return s.flush()
	})
}

// memory reads a memory frame up to the sender's own bytes. Until the memory
// is ours the frame stays in the buffer, and its file in the queue.
func (r *reader) memory(ctx context.Context, h header) error {
	if err := r.need(ctx, headerSize+memorySize); err != nil {
		return err
	}
	if n := int64(h.length) - memorySize; n > int64(r.c.cfg.MaxSize) {
		return r.tooLarge(n)
	}
	size := binary.LittleEndian.Uint64(r.buf[r.off+headerSize:])
	if size > uint64(r.c.cfg.MaxMemory) {
		return r.broken(fault.TooLarge, fmt.Errorf("shared memory of %d bytes, at most %d are allowed", size, r.c.cfg.MaxMemory))
	}
	files, err := r.take(1)
	if err != nil {
		return r.broken(fault.Protocol, err)
	}
	mem, err := r.accept(files[0], int(size))
	if errors.Is(err, fault.Exhausted) {
		r.queue = slices.Insert(r.queue, 0, files[0])
		return fault.New(fault.Exhausted, "receive", r.c.addr(), err)
	}
	if err != nil {
		_ = files[0].Close()
		return r.broken(fault.KindOf(err), err)
	}
	r.off += headerSize + memorySize
	r.msg = newMessage(int(h.length-memorySize), nil)
	r.msg.mem = mem
	return nil
}

// accept makes memory of f, which stays the caller's if it fails.
func (r *reader) accept(f *os.File, size int) (*shm.Memory, error) {
	m, err := shm.OpenMemory(f, size, r.c.cfg.Quota)
	if err != nil {
		return nil, err
	}
	if !m.Frozen() && !r.c.cfg.LiveMemory {
		_ = m.Close() // closes f, once more is harmless
		return nil, fault.New(fault.Protocol, "open memory", "", errors.New("its owner can still write it"))
	}
	return m, nil
}
