// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
)

func TestDiskFull(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to mount a small tmpfs")
	}
	to := t.TempDir()
	if err := unix.Mount("tmpfs", to, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("this container may not mount a tmpfs: %v", err)
	}
	defer func() { _ = unix.Unmount(to, 0) }()
	big, small := filepath.Join(t.TempDir(), "big"), filepath.Join(t.TempDir(), "small")
	write(t, big, 30*chunkSize, 0o600)
	write(t, small, 10, 0o600)
	serr, rerr := run(t, []string{big, small}, SendOptions{}, to, ReceiveOptions{})
	for _, err := range []error{serr, rerr} {
		if !errors.Is(err, fault.Exhausted) || !strings.Contains(err.Error(), "no space left") {
			t.Fatalf("sender: %v; receiver: %v", serr, rerr)
		}
	}
	wantNames(t, to, "small")
}

func TestReadOnlyDirectory(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to mount a read-only tmpfs")
	}
	to := t.TempDir()
	if err := unix.Mount("tmpfs", to, "tmpfs", unix.MS_RDONLY, ""); err != nil {
		t.Skipf("this container may not mount a tmpfs: %v", err)
	}
	defer func() { _ = unix.Unmount(to, 0) }()
	serr, rerr := run(t, []string{"-"}, SendOptions{Stdin: strings.NewReader("x")}, to, ReceiveOptions{})
	if !errors.Is(serr, fault.Denied) || !errors.Is(rerr, fault.Denied) || !strings.Contains(serr.Error(), "read-only") {
		t.Fatal(serr, rerr)
	}
}
