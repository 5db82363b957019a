// SPDX-License-Identifier: Apache-2.0

package futex

import (
	"math"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/internal/proctest"
)

// TestWait asks the kernel alone: both ways to sleep, of which the second
// serves where FUTEX_WAITV is missing.
func TestWait(t *testing.T) {
	proctest.NeedsKernel(t, "lacks FUTEX_WAITV")
	var bell, cancel atomic.Uint32
	bell.Store(7)
	two := func(b, c uint32) (bool, unix.Errno) { return waitTwo(&bell, b, &cancel, c, time.Second) }
	for name, got := range map[string]func() (bool, unix.Errno){
		"two, the bell has rung": func() (bool, unix.Errno) { return two(6, 0) },
		"two, cancelled":         func() (bool, unix.Errno) { return two(7, 1) },
		"one, the bell has rung": func() (bool, unix.Errno) { return waitOne(&bell, 6, slice) },
	} {
		if overslept, errno := got(); overslept || errno != unix.EAGAIN {
			t.Errorf("%s: %v, %v", name, overslept, errno)
		}
	}
	if overslept, errno := waitOne(&bell, 7, slice); !overslept || errno != unix.ETIMEDOUT {
		t.Errorf("nothing happens: %v, %v", overslept, errno)
	}
	for name, sleep := range map[string]func() (bool, unix.Errno){
		"two": func() (bool, unix.Errno) { return two(7, 0) },
		"one": func() (bool, unix.Errno) { return waitOne(&bell, 7, slice) },
	} {
		if !wokenOnce(&bell, sleep) {
			t.Errorf("%s: only ever ended by its limit", name)
		}
	}
}

// wokenOnce rings until sleep has ended without having overslept, once in many.
func wokenOnce(bell *atomic.Uint32, sleep func() (bool, unix.Errno)) bool {
	for range 50 {
		result := make(chan bool, 1)
		go func() {
			overslept, errno := sleep()
			result <- !overslept && errno == 0
		}()
		for asleep := true; asleep; {
			Wake(bell, math.MaxInt32)
			select {
			case woken := <-result:
				if woken {
					return true
				}
				asleep = false
			default:
			}
		}
	}
	return false
}

func TestSeatsAreBounded(t *testing.T) {
	taken := 0
	for Enter() {
		taken++
	}
	if taken != MaxSleepers || Sleepers() != MaxSleepers {
		t.Errorf("%d seats were taken and %d are counted, want %d", taken, Sleepers(), MaxSleepers)
	}
	for range taken {
		Leave()
	}
	if Sleepers() != 0 {
		t.Errorf("%d seats are taken after all were given back", Sleepers())
	}
}
