// SPDX-License-Identifier: Apache-2.0

package message

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/primitive/shm"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/exec"
	shmconn "github.com/parley-ipc/parley/transport/shm"
	unixconn "github.com/parley-ipc/parley/transport/unix"
)

var roles = map[string]proctest.Role{
	"owner": roleOwner, "reader": roleReader, "stdio-reader": roleStdioReader, "holder": roleHolder, "vandal": roleVandal, "sink": roleSink,
	"echo": roleEcho, "swallow": roleSwallow,
}

func dial(addr string) (*Conn, error) {
	a, err := endpoint.Parse(addr)
	if err != nil {
		return nil, err
	}
	var c transport.Conn
	if a.Scheme == endpoint.SHM {
		c, err = shmconn.Dial(context.Background(), a, shmconn.DialConfig{})
	} else {
		c, err = unixconn.Dial(context.Background(), a, transport.DialConfig{})
	}
	if err != nil {
		return nil, err
	}
	return NewConn(c, Config{}), nil
}

// fill writes what verify expects of the memory numbered seq, in each page.
func fill(b []byte, seq uint64) {
	for i := 0; i+8 <= len(b); i += 512 {
		binary.LittleEndian.PutUint64(b[i:], seq<<32+uint64(i))
	}
}

func verify(m *Message, seq uint64) error {
	mem := m.Memory()
	if mem == nil || string(m.Bytes()) != strconv.FormatUint(seq, 10) {
		return fmt.Errorf("message %q with memory %v, want number %d", m.Bytes(), mem != nil, seq)
	}
	defer func() { _ = mem.Close() }()
	b, err := mem.Bytes()
	if err != nil {
		return err
	}
	for i := 0; i+8 <= len(b); i += 512 {
		if got := binary.LittleEndian.Uint64(b[i:]); got != seq<<32+uint64(i) {
			return fmt.Errorf("memory %d of %d bytes has %x at %d", seq, len(b), got, i)
		}
	}
	return nil
}

func sendNumbered(c *Conn, seq uint64, size int) error {
	m, err := shm.NewMemory("message-test", size)
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }()
	b, err := m.Bytes()
	if err != nil {
		return err
	}
	fill(b, seq)
	if err := m.Seal(); err != nil {
		return err
	}
	return c.SendMemory(context.Background(), m, strconv.AppendUint(nil, seq, 10))
}

// receiveNumbered verifies memories until the connection ends.
func receiveNumbered(c *Conn) (n uint64, err error) {
	for {
		m, err := c.Receive(context.Background())
		if err != nil {
			return n, err
		}
		err = verify(m, n)
		m.Release()
		if err != nil {
			return n, err
		}
		n++
	}
}

// roleOwner sends COUNT memories of SIZE bytes to ADDR and waits.
func roleOwner(p *proctest.Self) error {
	c, err := dial(p.Args[0])
	if err != nil {
		return err
	}
	count, _ := strconv.ParseUint(p.Args[1], 10, 64)
	size, _ := strconv.Atoi(p.Args[2])
	for seq := range count {
		if err := sendNumbered(c, seq, size); err != nil {
			return err
		}
	}
	p.Say("sent")
	_, err = p.Hear()
	_ = c.Close()
	return err
}

func roleReader(p *proctest.Self) error {
	c, err := dial(p.Args[0])
	if err != nil {
		return err
	}
	n, err := receiveNumbered(c)
	if !errors.Is(err, io.EOF) {
		return err
	}
	p.Say(strconv.FormatUint(n, 10))
	return c.Close()
}

// roleStdioReader answers with how many came.
func roleStdioReader(*proctest.Self) error {
	t, err := exec.Stdio(context.Background(), transport.DialConfig{})
	if err != nil {
		return err
	}
	c := NewConn(t, Config{})
	n, err := receiveNumbered(c)
	if !errors.Is(err, io.EOF) {
		return err
	}
	if err := c.Send(context.Background(), strconv.AppendUint(nil, n, 10)); err != nil {
		return err
	}
	return c.Close()
}

// roleHolder maps the first memory and waits.
func roleHolder(p *proctest.Self) error {
	c, err := dial(p.Args[0])
	if err != nil {
		return err
	}
	m, err := c.Receive(context.Background())
	if err != nil {
		return err
	}
	b, err := m.Memory().Bytes()
	if err != nil {
		return err
	}
	p.Say(fmt.Sprintf("holding %d", len(b)))
	_, err = p.Hear()
	return err
}

// roleVandal sends memory and tries to spoil it until it is told to stop.
func roleVandal(p *proctest.Self) error {
	c, err := dial(p.Args[0])
	if err != nil {
		return err
	}
	m, err := shm.NewMemory("message-test", 1<<20)
	if err != nil {
		return err
	}
	b, _ := m.Bytes()
	fill(b, 0)
	if err := m.Seal(); err != nil {
		return err
	}
	if err := c.SendMemory(context.Background(), m, []byte("0")); err != nil {
		return err
	}
	f, err := m.File()
	if err != nil {
		return err
	}
	done := make(chan struct{})
	go func() { defer close(done); _, _ = p.Hear() }()
	for tries := 0; ; tries++ {
		if err := spoil(f); err != nil {
			return err
		}
		select {
		case <-done:
			return c.Close()
		default:
		}
		if tries == 100 {
			p.Say("tried")
		}
	}
}

// spoil returns an error if anything works.
func spoil(f *os.File) error {
	_, w := f.WriteAt([]byte{1}, 0)
	_, mapped := syscall.Mmap(int(f.Fd()), 0, 1<<20, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	again, reopen := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), os.O_RDWR|os.O_TRUNC, 0)
	if reopen == nil {
		_ = again.Close()
	}
	for what, err := range map[string]error{
		"write": w, "map": mapped, "shrink": f.Truncate(0), "grow": f.Truncate(1 << 21), "truncate by open": reopen,
		"punch": syscall.Fallocate(int(f.Fd()), 3, 0, 1<<20),
	} {
		if err == nil {
			return fmt.Errorf("%s: allowed", what)
		}
	}
	return nil
}
