// SPDX-License-Identifier: Apache-2.0

package procsync_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/primitive/procsync"
)

// In a counting object's extra bytes: a journalled counter, the highest token,
// and how many updates each process has confirmed.
const (
	atCount   = 0
	atNext    = 8
	atToken   = 16
	atPerProc = 64
)

func get(b []byte, off int) uint64 { return binary.NativeEndian.Uint64(b[off:]) }
func put(b []byte, off int, v uint64) {
	binary.NativeEndian.PutUint64(b[off:], v)
}

// count adds to the counter of Args[0] for ever, as number Args[1].
func count(p *proctest.Self) error {
	o, err := openObject(p.Args[0])
	if err != nil {
		return err
	}
	m, err := procsync.AttachMutex(o.mem, o.file, procsync.Config{})
	if err != nil {
		return err
	}
	mine := atPerProc + 8*number(p.Args[1])
	p.Say("go")
	for {
		switch err := m.Lock(context.Background()); {
		case errors.Is(err, procsync.ErrOwnerDied):
			put(o.extra, atNext, get(o.extra, atCount)) // an update half made is taken back
			if err := m.MarkConsistent(); err != nil {
				return err
			}
		case err != nil:
			return err
		}
		if t := m.Token(); t <= get(o.extra, atToken) {
			return errors.New("a token that is not larger")
		}
		put(o.extra, atToken, m.Token())
		if get(o.extra, atNext) != get(o.extra, atCount) {
			return errors.New("somebody else is in the middle of an update")
		}
		put(o.extra, atNext, get(o.extra, atCount)+1)
		put(o.extra, mine, get(o.extra, mine)+1)
		put(o.extra, atCount, get(o.extra, atNext))
		if err := m.Unlock(); err != nil {
			return err
		}
	}
}

func seedAndKills(t *testing.T, small int) (*rand.Rand, int) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("PARLEY_SEED"); s != "" {
		v, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = v
	}
	kills := small
	if s := os.Getenv("PARLEY_KILLS"); s != "" {
		kills = number(s)
	}
	t.Logf("PARLEY_SEED=%d, %d kills", seed, kills)
	return rand.New(rand.NewPCG(seed, 0)), kills
}

// TestKillCounters: processes that count are killed and stopped at any
// instant; no confirmed update is lost, and the others go on.
func TestKillCounters(t *testing.T) {
	const procs = 4
	rng, kills := seedAndKills(t, 20)
	o := create(t, mutexShape())
	var all [procs]*proctest.Process
	start := func(i int) {
		all[i] = proctest.Start(t, "count", o.path, strconv.Itoa(i))
		all[i].Expect("go")
	}
	for i := range all {
		start(i)
	}
	m := o.mutex(t)
	var before uint64
	for range kills {
		wait := time.NewTimer(time.Duration(rng.IntN(5000)) * time.Microsecond)
		<-wait.C
		i, j := rng.IntN(procs), rng.IntN(procs)
		all[j].Signal(syscall.SIGSTOP)
		all[i].Kill()
		all[j].Signal(syscall.SIGCONT)
		start(i)
		// Everybody gets on, we among them.
		err := m.Lock(soon(t))
		if errors.Is(err, procsync.ErrOwnerDied) {
			put(o.extra, atNext, get(o.extra, atCount))
			err = m.MarkConsistent()
		}
		if err != nil {
			t.Fatal(err)
		}
		if now := get(o.extra, atCount); now < before {
			t.Fatalf("the count went from %d back to %d", before, now)
		} else {
			before = now
		}
		if err := m.Unlock(); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range all {
		p.Kill()
	}
	if err := m.Lock(soon(t)); err != nil && !errors.Is(err, procsync.ErrOwnerDied) {
		t.Fatal(err)
	}
	sum := uint64(0)
	for i := range procs {
		sum += get(o.extra, atPerProc+8*i)
	}
	// A process that died between its own note and the count has noted one
	// update that was taken back: at most one a kill.
	got := get(o.extra, atCount)
	if got > sum || sum-got > uint64(kills+procs) {
		t.Errorf("counted %d, the processes noted %d", got, sum)
	}
	if got == 0 {
		t.Error("nothing was counted")
	}
	t.Logf("counted %d", got)
}
