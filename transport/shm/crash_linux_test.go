// SPDX-License-Identifier: Apache-2.0

package shm_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/transport/shm"
)

// Three peers at once, each stopped and continued at random instants, two of
// them then killed, with positions that overflow 32 and 64 bits on the way:
// every byte that comes is right, a death is told as one, and the third peer's
// streams end whole.
func TestCrashAmongMany(t *testing.T) {
	rnd := rand.New(rand.NewPCG(seed(t), 4))
	before := takeInventory(t)
	for range (kills(t) + 4) / 5 {
		var wg sync.WaitGroup
		survivor := rnd.IntN(3)
		for i, start := range []uint64{0, 1<<32 - 5*testRing - 1, 1<<64 - 5*testRing - 1} {
			total, last := 0, 30*testRing+rnd.IntN(30*testRing)
			if i == survivor {
				total, last = 60*testRing, math.MaxInt
			}
			c, p := peer(t, modes[rnd.IntN(len(modes))], start, total)
			stops := &moments{Reader: c, at: []int{rnd.IntN(10 * testRing), 10*testRing + rnd.IntN(10*testRing), last}}
			stops.do = func(k int) {
				if k < 2 {
					pause(t, p)
				} else {
					p.Kill()
				}
			}
			wg.Go(func() {
				if err := survive(c, stops, total); err != nil {
					t.Error(err)
				}
				if total != 0 {
					if err := p.Wait(); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
	}
	before.settled(t)
}

// survive exchanges streams with a peer that reads and writes total bytes, or,
// if that is 0, until it is killed.
func survive(c *shm.Conn, r io.Reader, total int) error {
	var wg sync.WaitGroup
	var werr error
	wg.Go(func() {
		if total == 0 {
			werr = pour(c, 1, math.MaxInt)
		} else if werr = pour(c, 1, total); werr == nil {
			werr = c.CloseWrite()
		}
	})
	n, rerr := drink(r, 2)
	wg.Wait()
	safes := c.Counters().SafetyTimeouts.Load()
	err := c.Close()
	switch {
	case total == 0 && errors.Is(rerr, fault.PeerDied) && errors.Is(werr, fault.PeerDied) && err == nil:
		return nil
	case total != 0 && rerr == nil && werr == nil && n == total && err == nil && safes == 0:
		return nil
	}
	return fmt.Errorf("%d bytes of %d; read %w; write %w; close %w; %d safety time-outs", n, total, rerr, werr, err, safes)
}

// moments calls do(k) once as many bytes as at[k] have been read.
type moments struct {
	io.Reader
	at   []int
	done int
	next int
	do   func(k int)
}

func (m *moments) Read(p []byte) (int, error) {
	for m.next < len(m.at) && m.done >= m.at[m.next] {
		m.do(m.next)
		m.next++
	}
	n, err := m.Reader.Read(p)
	m.done += n
	return n, err
}

// pause stops the peer wherever it is, and lets it go on once it has stopped.
func pause(t *testing.T, p *proctest.Process) {
	p.Signal(unix.SIGSTOP)
	for {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid()))
		if err != nil {
			t.Error(err)
			break
		}
		if i := bytes.LastIndexByte(stat, ')'); i >= 0 && len(stat) > i+2 && stat[i+2] == 'T' {
			break
		}
		runtime.Gosched() // the kernel's word: there is no event to wait for
	}
	p.Signal(unix.SIGCONT)
}
