// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"errors"
	"io"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
)

// TestFilesWaitForTheReader: no more than maxParked files are under way, and
// who reads gets them all.
func TestFilesWaitForTheReader(t *testing.T) {
	c, r, _ := tampered(t, Options{RingSize: MinRingSize}, io.Discard)
	files := slices.Repeat([]*os.File{os.Stdin}, transport.MaxFiles)
	_ = c.SetWriteDeadline(time.Now().Add(10 * time.Second))
	for range maxParked / transport.MaxFiles {
		if _, err := c.WriteFiles([]byte("x"), files); err != nil {
			t.Fatal(err)
		}
	}
	_ = c.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := c.WriteFiles([]byte("x"), files[:1]); !errors.Is(err, fault.Timeout) {
		t.Fatalf("one file more than the peer has room for: %v", err)
	}
	_ = c.SetWriteDeadline(time.Now().Add(10 * time.Second))
	pageOf(r.ownMap.Head).taken.Store(1) // the peer took one group
	if _, err := c.WriteFiles([]byte("x"), files); err != nil {
		t.Fatal(err)
	}
}
