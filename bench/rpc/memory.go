// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/parley-ipc/parley/bench/internal/party"
)

const (
	tidyFor   = 4 * time.Second
	tidyEvery = 200 * time.Millisecond
)

// tidy gives garbage back for a while, so that what is looked at is not that.
func tidy() {
	for end := time.Now().Add(tidyFor); time.Now().Before(end); time.Sleep(tidyEvery) {
		debug.FreeOSMemory()
	}
}

// idle makes connections that each have made a call, and says what one costs
// both processes: proportional set size, in bytes.
func (l *lead) idle(c party.Command) (party.Figures, error) {
	settle()
	before, err := l.memory()
	if err != nil {
		return nil, err
	}
	conns := make([]caller, 0, c.Count)
	defer func() {
		for _, conn := range conns {
			_ = conn.close()
		}
	}()
	for range c.Count {
		conn, err := l.peer.dial(l.ctx, l.side)
		if err != nil {
			return nil, err
		}
		conns = append(conns, conn)
		if err := call(l.ctx, conn, make([]byte, c.Size)); err != nil {
			return nil, err
		}
	}
	settle()
	after, err := l.memory()
	if err != nil {
		return nil, err
	}
	return party.Figures{party.Memory: float64(after-before) / float64(c.Count)}, nil
}

// settle waits for garbage to be gone on both sides.
func settle() {
	time.Sleep(2 * tidyEvery)
	debug.FreeOSMemory()
	time.Sleep(tidyEvery)
}

// pid is the process that serves.
func (l *lead) pid() (int, error) {
	b, err := os.ReadFile(l.side.Path(l.peer.file()))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(b))
}

// memory is the proportional set size of both processes in bytes.
func (l *lead) memory() (int64, error) {
	server, err := l.pid()
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, pid := range []int{os.Getpid(), server} {
		n, err := proportional(pid)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

func proportional(pid int) (int64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "Pss:"); ok {
			var kib int64
			_, err := fmt.Sscan(rest, &kib)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("%s has no Pss", f.Name())
}

// serverTime is the processor time of the side that serves.
func (l *lead) serverTime() (time.Duration, error) {
	pid, err := l.pid()
	if err != nil {
		return 0, err
	}
	return party.ProcessorTimeOf(pid)
}
