// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// The registry's directory may be shared with a container of the same uid,
// and a page of a file that somebody cuts short cannot be touched.
func TestTruncatedEntryCrashesNobody(t *testing.T) {
	n := testNames(t.TempDir())
	c := acquire(t, n, "shm://orders")
	if err := os.Truncate(c.keep.place.entry, 0); err != nil {
		t.Fatal(err)
	}
	if got := c.Counters().Accepted.Add(1); got != 1 {
		t.Errorf("Accepted = %d", got)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	acquire(t, n, "shm://orders")
}

func TestCountersArePublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := testNames(t.TempDir())
		c := acquire(t, n, "shm://orders")
		for total := uint64(1); total <= 2; total++ {
			c.Counters().Accepted.Add(1)
			<-time.After(publishEvery)
			synctest.Wait()
			if got := list(t, n, ListOptions{})["orders.ep"].Counters.Accepted; got != total {
				t.Errorf("the registry says %d, want %d", got, total)
			}
		}
	})
}
