// SPDX-License-Identifier: Apache-2.0

package rundir

import (
	"errors"
	"strings"
	"testing"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
)

// TestLinkOnTheWay: on Linux no component may be a link.
func TestLinkOnTheWay(t *testing.T) {
	proctest.NeedsKernel(t, "lacks openat2")
	w := newWorld(t)
	w.mkdir(t, "real/p", 0o700)
	w.link(t, "real", "way")
	w.env["PARLEY_RUNTIME_DIR"] = w.at("way/p")
	_, err := w.Own()
	if !errors.Is(err, fault.Denied) || !strings.Contains(err.Error(), w.at("way")+" is a symbolic link") || !strings.Contains(err.Error(), "write "+w.at("real")) {
		t.Errorf("%v", err)
	}
	if _, err := (Dir{Path: w.at("way/p")}).stat(); err == nil {
		t.Error("the kernel followed a link")
	}
}
