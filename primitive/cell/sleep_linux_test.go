// SPDX-License-Identifier: Apache-2.0

package cell

import (
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSleep asks the kernel alone: both ways to sleep, of which the second
// serves where FUTEX_WAITV is missing.
func TestSleep(t *testing.T) {
	var bell, cancel atomic.Uint32
	bell.Store(7)
	two := func(b, c uint32) (bool, unix.Errno) { return sleepTwo(&bell, b, &cancel, c) }
	for name, got := range map[string]func() (bool, unix.Errno){
		"two, the bell has rung": func() (bool, unix.Errno) { return two(6, 0) },
		"two, cancelled":         func() (bool, unix.Errno) { return two(7, 1) },
		"one, the bell has rung": func() (bool, unix.Errno) { return sleepOne(&bell, 6) },
	} {
		if overslept, errno := got(); overslept || errno != unix.EAGAIN {
			t.Errorf("%s: %v, %v", name, overslept, errno)
		}
	}
	if overslept, errno := sleepOne(&bell, 7); !overslept || errno != unix.ETIMEDOUT {
		t.Errorf("nothing happens: %v, %v", overslept, errno)
	}
	for name, sleep := range map[string]func() (bool, unix.Errno){
		"two": func() (bool, unix.Errno) { return two(7, 0) },
		"one": func() (bool, unix.Errno) { return sleepOne(&bell, 7) },
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
			wakeAll(bell)
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
