// SPDX-License-Identifier: Apache-2.0

package transporttest

import (
	"io"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-ipc/parley/transport"
)

// inventory is what a process holds: descriptors and shared mappings by kind,
// and goroutines.
type inventory struct {
	held       map[string]int
	goroutines goleak.Option
}

// Holding notes the descriptors, shared mappings and goroutines that the
// process holds, and returns what fails the test if it holds more.
func Holding() (compare func(testing.TB)) { return takeInventory().compare }

func takeInventory() *inventory {
	return &inventory{held: held(), goroutines: goleak.IgnoreCurrent()}
}

// compare fails the test if the process holds more than it did. What ends in
// another goroutine or in the kernel is given a moment.
func (i *inventory) compare(t testing.TB) {
	t.Helper()
	var more map[string]int
	deadline := time.Now().Add(5 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if more = i.more(); len(more) == 0 || time.Now().After(deadline) {
			break
		}
		<-tick.C
	}
	if len(more) != 0 {
		t.Errorf("leaked: %v", more)
	}
	if err := goleak.Find(i.goroutines); err != nil {
		t.Errorf("leaked: %v", err)
	}
}

func (i *inventory) more() map[string]int {
	more := map[string]int{}
	for what, n := range held() {
		if extra := n - i.held[what]; extra > 0 {
			more[what] = extra
		}
	}
	return more
}

// leaksNothing: connections and listeners that were closed leave nothing,
// whichever side closed first and whatever was unread.
func leaksNothing(t *testing.T, b Backend) {
	round := func(t *testing.T) {
		for i := range 12 {
			d, a := pair(t, b)
			send(t, d, "unread")
			first, second := d, a
			if i%2 == 0 {
				first, second = a, d
			}
			closeNow(t, first)
			if i%3 == 0 {
				_, _ = io.Copy(io.Discard, second)
			}
			closeNow(t, second)
		}
	}
	t.Run("once", round)
	before := takeInventory()
	t.Run("again", round)
	before.compare(t)
}

var _ transport.Conn = (*singleConn)(nil)
