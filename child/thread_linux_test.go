// SPDX-License-Identifier: Apache-2.0

package child_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/child"
)

// The death signal comes with the end of a thread: it must not be the one that
// called Start.
func TestChildOutlivesTheThreadThatAskedForIt(t *testing.T) {
	ctx := soon(t)
	var c *child.Child
	var err error
	tid := onDyingThread(func() { c, err = child.Start(ctx, config("plugin")) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, c) })
	for {
		_, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", tid))
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil || ctx.Err() != nil {
			t.Fatalf("the thread lives on: %v", err)
		}
		runtime.Gosched()
	}
	talkTo(t, c.Process()).ask("pid")
}

// onDyingThread calls f in a thread that ends, and returns its number.
func onDyingThread(f func()) (tid int) {
	done := make(chan int)
	go func() {
		runtime.LockOSThread()
		if tid := unix.Gettid(); tid != os.Getpid() {
			f()
			done <- tid
			return // locked: Go ends the thread
		}
		defer runtime.UnlockOSThread() // the main thread never ends: it is kept while another one does it
		done <- onDyingThread(f)
	}()
	return <-done
}
