// SPDX-License-Identifier: Apache-2.0

package exec_test

import (
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/parley-ipc/parley/transport/exec"
)

// full is a place for stderr that takes nothing.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// Where its complaints cannot be kept the child still goes on: its pipe never
// fills up.
func TestChildIsNotHeldUpByItsStderr(t *testing.T) {
	c := dial(t, program(t, `sh -c 'head -c 300000 /dev/zero >&2; echo out'`), exec.Config{Stderr: full{}})
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); err != nil || string(got) != "out\n" {
		t.Fatalf("read %q, %v", got, err)
	}
}
