// SPDX-License-Identifier: Apache-2.0

package procsync_test

import (
	"strconv"
	"testing"

	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/primitive/procsync"
)

// greedy locks and unlocks the mutex of Args[0], as often as it can until it is
// told to end, and says the most that any lock of its own was passed by.
func greedy(p *proctest.Self) error {
	o, err := openObject(p.Args[0])
	if err != nil {
		return err
	}
	m, err := procsync.AttachMutex(o.mem, o.file, procsync.Config{NoSpin: p.Args[1] == "1"})
	if err != nil {
		return err
	}
	most, queued := uint64(0), 0
	m.OnPassed(func(passed uint64) { most, queued = max(most, passed), queued+1 })
	p.Say("go")
	end := make(chan error, 1)
	go func() { _, err := p.Hear(); end <- err }()
	for {
		select {
		case <-end:
			p.Say(strconv.Itoa(int(most)))
			p.Say(strconv.Itoa(queued))
			return nil
		default:
		}
		for range 100 {
			if err := m.Lock(bg); err != nil {
				return err
			}
			if err := m.Unlock(); err != nil {
				return err
			}
		}
	}
}

// TestPassed: nobody who is in the queue is passed by more later ones than
// MaxPassed says. Passed are all acquisitions since the queue had it, so those
// that waited longer count too: there are at most as many as processes.
func TestPassed(t *testing.T) {
	for _, noSpin := range []string{"0", "1"} {
		const procs = 4
		o := create(t, mutexShape())
		var all []*proctest.Process
		for range procs {
			p := proctest.Start(t, "greedy", o.path, noSpin)
			p.Expect("go")
			all = append(all, p)
		}
		m := o.mutex(t)
		for range 300 { // we too wait in the queue
			if err := m.Lock(soon(t)); err != nil {
				t.Fatal(err)
			}
			if err := m.Unlock(); err != nil {
				t.Fatal(err)
			}
		}
		queued := 0
		for _, p := range all {
			p.Say("end")
			most := number(p.Hear())
			queued += number(p.Hear())
			if most > procsync.MaxPassed+procs+1 {
				t.Errorf("NoSpin %s: passed by %d, at most %d later ones and %d that waited longer may", noSpin, most, procsync.MaxPassed, procs)
			}
		}
		t.Logf("NoSpin %s: %d waited in the queue", noSpin, queued)
		if noSpin == "1" && queued == 0 {
			t.Error("nobody ever waited")
		}
	}
}
