// SPDX-License-Identifier: Apache-2.0

package child_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/child"
	"github.com/parley-ipc/parley/fault"
)

// asParent gives us a parent that says nothing. other is added to the inode
// that the variable names.
func asParent(t *testing.T, other uint64) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(pair[0]) })
	var st unix.Stat_t
	if err := unix.Fstat(pair[1], &st); err != nil {
		t.Fatal(err)
	}
	if other != 0 { // it is not taken
		t.Cleanup(func() { _ = unix.Close(pair[1]) })
	}
	t.Setenv(child.EnvFD, fmt.Sprintf("%d,%d", pair[1], st.Ino+other))
}

func TestMuteParentIsGivenUp(t *testing.T) {
	cfg := child.ListenConfig{HandshakeTimeout: 50 * time.Millisecond}
	asParent(t, 0)
	if _, _, err := child.Connect(t.Context(), cfg); !errors.Is(err, fault.Timeout) {
		t.Errorf("Connect: %v, want a timeout", err)
	}
	asParent(t, 0)
	if _, err := child.Listen(t.Context(), cfg); !errors.Is(err, fault.Timeout) {
		t.Errorf("Listen: %v, want a timeout", err)
	}
}

// The variable may have come from farther up, and the number be another file's.
func TestAnotherSocketIsNotTaken(t *testing.T) {
	asParent(t, 1)
	if _, _, err := child.Connect(t.Context(), child.ListenConfig{}); !errors.Is(err, fault.NotFound) {
		t.Errorf("got %v, want not found", err)
	}
}
