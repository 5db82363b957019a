// SPDX-License-Identifier: Apache-2.0

package transporttest

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-ipc/parley/transport"
)

// kill kills the peer at random instants of a transfer, or while nothing
// moves, and wants the survivor to notice, and nothing to be left behind.
// The dialer and the listener are killed in turn: the child is either.
func kill(t *testing.T, b Backend) {
	seed := uint64(fromEnv(t, "PARLEY_SEED", int(rand.Uint32())))
	rounds := fromEnv(t, "PARLEY_KILLS", 10)
	t.Logf("%d kills a side; PARLEY_SEED=%d repeats them", rounds, seed)
	for i, s := range sides(b) {
		t.Run(s.name, func(t *testing.T) {
			k := &killer{b: b, s: s, rng: rand.New(rand.NewPCG(seed, uint64(i)))}
			if !b.spawns() {
				k.addr = b.Address(t)
			}
			k.round(t, -1) // what is set up once in a process is set up here
			before := takeInventory()
			for n := range rounds {
				if !k.round(t, n) {
					break
				}
			}
			before.compare(t)
			k.nameIsFree(t)
			t.Logf("noticed at most %v after the kill", k.slowest)
		})
	}
}

// fromEnv reads a number from the environment.
func fromEnv(t testing.TB, name string, otherwise int) int {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		t.Fatalf("%s=%q is not a number", name, s)
	}
	return n
}

type killer struct {
	b       Backend
	s       side
	rng     *rand.Rand
	addr    string        // the same in every round: the dead one's name is taken over at once
	slowest time.Duration // from the kill to the survivor's last error
}

func (k *killer) round(t *testing.T, n int) bool {
	what, amount := traffics[k.rng.IntN(len(traffics))], k.rng.Uint64N(3<<20)
	if what.files && !k.b.Files {
		what = traffics[0]
	}
	return t.Run(fmt.Sprintf("round%d", n), func(t *testing.T) {
		l := k.s.open(t, k.b, k.addr, what.verb)
		k.addr = l.addr
		took := killDuring(t, l, what, min(amount, what.most), k.b.DeathIsError)
		k.slowest = max(k.slowest, took)
		closeNow(t, l.near)
	})
}

// traffic is what goes on between near and far when far is killed. read and
// write go on until an error, which they return.
type traffic struct {
	verb  string // what far does
	read  func(c transport.Conn, progress func(total uint64)) (uint64, error)
	write func(c transport.Conn) error
	most  uint64 // bytes to read before the kill
	files bool
}

var traffics = []traffic{
	{"churn", func(c transport.Conn, p func(uint64)) (uint64, error) { return readPattern(c, p) },
		func(c transport.Conn) error { return writePattern(c) }, 1 << 62, false},
	{"churn", func(c transport.Conn, p func(uint64)) (uint64, error) { return readPattern(c, p) },
		func(c transport.Conn) error { return writePattern(c) }, 1, false}, // as early as can be
	{"hold", func(c transport.Conn, p func(uint64)) (uint64, error) { p(0); return readPattern(c, p) },
		func(transport.Conn) error { return errIdle }, 0, false},
	{"pass", passIn, passOut, 300 << 10, true},
}

var errIdle = errors.New("nothing to write")

// killDuring kills once amount bytes have arrived, and returns how long the
// near side's Read and Write took to notice.
func killDuring(t *testing.T, l *link, what traffic, amount uint64, deathIsError bool) time.Duration {
	enough := make(chan struct{})
	read, wrote := make(chan error, 1), make(chan error, 1)
	go func() {
		var once sync.Once
		_, err := what.read(l.near, func(total uint64) {
			if total >= amount {
				once.Do(func() { close(enough) })
			}
		})
		read <- err
	}()
	go func() { wrote <- what.write(l.near) }()
	within(t, "the transfer", enough)
	killed := time.Now()
	l.kill()
	noticed(t, "Read", within(t, "Read", read), deathIsError)
	noticed(t, "Write", within(t, "Write", wrote), true)
	return time.Since(killed)
}

func noticed(t *testing.T, what string, err error, notEOF bool) {
	t.Helper()
	switch {
	case strings.Contains(err.Error(), "corrupt"):
		t.Errorf("%s: %v", what, err)
	case notEOF && err == io.EOF: //nolint:errorlint // io.ErrUnexpectedEOF is right
		t.Errorf("%s took a killed peer for an orderly end", what)
	}
}

// within waits for a value for at most limit.
func within[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case v := <-from:
		return v
	case <-timer.C:
		t.Fatalf("%s: not within %v", what, limit)
		return *new(T)
	}
}

// nameIsFree: what the dead left behind does not keep us from listening.
func (k *killer) nameIsFree(t *testing.T) {
	if k.addr == "" {
		return
	}
	l := listenOn(t, k.b, k.addr, transport.ListenConfig{})
	pingPong(t, k.b, l)
}
