// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"io"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/transport"
)

// A writer that waits for room is woken once there is as much as it wants: a
// reader that takes less has not forgotten it, however long that lasts.
func TestSlowReaderIsNoSafetyTimeout(t *testing.T) {
	opts := Options{Attach: AtOnce, RingSize: MinRingSize, Spin: Off}.WithSafety(20 * time.Millisecond)
	c, s := pair(t, opts, opts)
	done := make(chan error, 1)
	go func() {
		_, err := c.Write(make([]byte, 4*MinRingSize))
		done <- err
	}()
	sleeps := &c.Counters().Sleeps
	sleepsOnce := func() {
		for before := sleeps.Load(); sleeps.Load() == before; {
			runtime.Gosched() // the writer's own count: there is no event to wait for
		}
	}
	sleepsOnce()
	for range 3 {
		if _, err := io.ReadFull(s, make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		sleepsOnce()
		sleepsOnce()
	}
	if _, err := io.ReadFull(s, make([]byte, 4*MinRingSize-30)); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if n := c.Counters().SafetyTimeouts.Load(); n != 0 {
		t.Errorf("%d safety time-outs, and nothing was forgotten", n)
	}
}

// A client has no answer to give: one that claims to deny us is as broken as
// any other, and is told and logged.
func TestClientThatAnswersIsBroken(t *testing.T) {
	for _, st := range []status{statusSocket, statusDenied, statusVersion, statusBroken, 99} {
		w := listenEcho(t, ListenConfig{ListenConfig: transport.ListenConfig{HandshakeTimeout: 5 * time.Second}})
		sock := w.dial(t)
		offer := hello{version: Version, status: st, ring: MinRingSize}.append(nil)
		segment := memory(t, int64(segmentSize(MinRingSize)), allSeals, false)
		if _, _, err := sock.WriteMsgUnix(offer, unix.UnixRights(segment), nil); err != nil {
			t.Fatal(err)
		}
		if err := sock.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(sock)
		if err != nil && !isGone(err) {
			t.Error(err)
		}
		if _, got, err := parsePrefix(answer); err != nil || got != statusBroken {
			t.Errorf("status %d was answered %d, %v", st, got, err)
		}
		w.log.await(t, "handshake failed")
	}
}

// A drain may overlap Close and come second: it keeps no descriptor.
func TestClosedInboxKeepsNothing(t *testing.T) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	var in inbox
	in.close()
	_ = in.parse([]byte{msgFiles}, fds[:]) // the message's rest never comes
	for _, fd := range fds {
		if err := unix.Close(fd); err == nil {
			t.Errorf("descriptor %d was still open", fd)
		}
	}
}
