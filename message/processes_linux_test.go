// SPDX-License-Identifier: Apache-2.0

package message

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/exec"
	shmconn "github.com/parley-ipc/parley/transport/shm"
	unixconn "github.com/parley-ipc/parley/transport/unix"
)

// overSockets runs f with a listener of each transport that other processes
// can dial and that carries files.
func overSockets(t *testing.T, f func(t *testing.T, l transport.Listener)) {
	for _, scheme := range []string{"unix", "shm"} {
		t.Run(scheme, func(t *testing.T) {
			a, err := endpoint.Parse(scheme + "://" + filepath.Join(t.TempDir(), "s"))
			if err != nil {
				t.Fatal(err)
			}
			var l transport.Listener
			if scheme == "shm" {
				l, err = shmconn.Listen(t.Context(), a, shmconn.ListenConfig{})
			} else {
				l, err = unixconn.Listen(t.Context(), a, transport.ListenConfig{})
			}
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = l.Close() }()
			f(t, l)
		})
	}
}

func accepted(t *testing.T, l transport.Listener) *Conn {
	t.Helper()
	c, err := l.AcceptConn(background(t))
	if err != nil {
		t.Fatal(err)
	}
	return conn(t, c, Config{})
}

func wantNothingHeld(t *testing.T) {
	t.Helper()
	if fds, maps, err := proctest.Held("message-test"); fds != 0 || maps != 0 || err != nil {
		t.Errorf("%d descriptors and %d mappings of memory are left", fds, maps)
	}
}

func TestMemoryBetweenProcesses(t *testing.T) {
	overSockets(t, func(t *testing.T, l transport.Listener) {
		p := proctest.Start(t, "reader", l.Address().String())
		c := accepted(t, l)
		sizes := []int{8, 4095, 4096, 4097, 1 << 20, 5<<20 + 1}
		for seq := range uint64(60) {
			if err := sendNumbered(c, seq, sizes[int(seq)%len(sizes)]); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		p.Expect("60")
		if err := p.Wait(); err != nil {
			t.Error(err)
		}
		wantNothingHeld(t)
	})
}

func TestMemoryToAChild(t *testing.T) {
	proctest.NeedsKernel(t, "starts no program of this processor by itself")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	a := endpoint.Address{Scheme: endpoint.Exec, Args: []string{exe}}
	k, err := exec.Dial(background(t), a, exec.Config{Env: append(os.Environ(), proctest.Environ("stdio-reader"))})
	if err != nil {
		t.Fatal(err)
	}
	c := conn(t, k, Config{})
	for seq := range uint64(5) {
		if err := sendNumbered(c, seq, 1<<20); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.CloseWrite(background(t)); err != nil {
		t.Fatal(err)
	}
	wantReceive(t, c, "5")
	wantErr(t, receiveErr(t, c), io.EOF)
}

// TestOwnerKilled: what was received stays whole after kill -9 of its owner,
// mapped before or only afterwards.
func TestOwnerKilled(t *testing.T) {
	overSockets(t, func(t *testing.T, l transport.Listener) {
		p := proctest.Start(t, "owner", l.Address().String(), "3", strconv.Itoa(1<<20))
		c := accepted(t, l)
		p.Expect("sent")
		early, err := c.Receive(background(t))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := early.mem.Bytes(); err != nil {
			t.Fatal(err)
		}
		p.Kill()
		if err := verify(early, 0); err != nil {
			t.Error(err)
		}
		early.Release()
		for seq := uint64(1); ; seq++ {
			m, err := c.Receive(background(t))
			if err != nil {
				wantErr(t, err, io.ErrUnexpectedEOF, fault.PeerDied)
				break
			}
			if err := verify(m, seq); err != nil {
				t.Error(err)
			}
			m.Release()
		}
		_ = c.Close()
		wantNothingHeld(t)
	})
}

// TestOwnerKilledWhileSending, at any instant: whole memories, then the cut.
func TestOwnerKilledWhileSending(t *testing.T) {
	overSockets(t, func(t *testing.T, l transport.Listener) {
		for round := range 5 {
			p := proctest.Start(t, "owner", l.Address().String(), "1000000", "65536")
			c := accepted(t, l)
			var n uint64
			for ; ; n++ {
				if n == uint64(10+7*round) {
					p.Kill()
				}
				m, err := c.Receive(background(t))
				if err != nil {
					wantErr(t, err, io.ErrUnexpectedEOF, fault.PeerDied)
					break
				}
				if err := verify(m, n); err != nil {
					t.Fatal(err)
				}
				m.Release()
			}
			if n < uint64(10+7*round) {
				t.Fatalf("only %d arrived before the kill", n)
			}
			_ = c.Close()
		}
		wantNothingHeld(t)
	})
}

// TestReceiverKilled: the owner is told, and keeps its memory.
func TestReceiverKilled(t *testing.T) {
	overSockets(t, func(t *testing.T, l transport.Listener) {
		p := proctest.Start(t, "holder", l.Address().String())
		c := accepted(t, l)
		m := sealed(t, 1<<20, "mine")
		if err := c.SendMemory(background(t), m, nil); err != nil {
			t.Fatal(err)
		}
		p.Expect(fmt.Sprintf("holding %d", 1<<20))
		p.Kill()
		err := firstError(func() error { return c.SendMemory(background(t), m, nil) })
		wantErr(t, err, fault.PeerDied)
		if b, err := m.Bytes(); err != nil || string(b[:4]) != "mine" {
			t.Errorf("%q, %v", b[:4], err)
		}
		_, _ = c.Close(), m.Close()
		wantNothingHeld(t)
	})
}

// TestVandal: whatever the owner tries with its file, nothing that we read
// changes, moves or faults.
func TestVandal(t *testing.T) {
	overSockets(t, func(t *testing.T, l transport.Listener) {
		p := proctest.Start(t, "vandal", l.Address().String())
		c := accepted(t, l)
		m, err := c.Receive(background(t))
		if err != nil {
			t.Fatal(err)
		}
		p.Expect("tried")
		if err := verify(m, 0); err != nil {
			t.Error(err)
		}
		m.Release()
		p.Say("stop")
		if err := p.Wait(); err != nil {
			t.Errorf("something worked: %v", err)
		}
		if _, err := c.Receive(background(t)); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	})
}
