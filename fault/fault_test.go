// SPDX-License-Identifier: Apache-2.0

package fault_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/parley-ipc/parley/fault"
)

func TestKindsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range fault.Kinds() {
		if name := k.Error(); name == "" || seen[name] {
			t.Errorf("kind %d has the name %q, empty or taken", k, name)
		}
		seen[k.Error()] = true
	}
	if got := fault.Kind(250).Error(); got != "failed" {
		t.Errorf("a kind from a newer peer reads %q, want failed", got)
	}
}

// Kinds cross the wire by number: this table may only grow at its end.
func TestKindNumbersArePinned(t *testing.T) {
	want := []fault.Kind{
		fault.Other, fault.Invalid, fault.Denied, fault.Unavailable, fault.Timeout, fault.Canceled, fault.InUse,
		fault.NotFound, fault.Protocol, fault.TooLarge, fault.Exhausted, fault.Unsupported, fault.Closed, fault.PeerDied,
	}
	if len(want) != len(fault.Kinds()) {
		t.Fatalf("%d kinds are pinned here and %d exist", len(want), len(fault.Kinds()))
	}
	for i, k := range want {
		if int(k) != i {
			t.Errorf("%v is number %d, want %d", k, k, i)
		}
	}
}

func TestKindOf(t *testing.T) {
	cases := []struct {
		err  error
		want fault.Kind
	}{
		{context.Canceled, fault.Canceled},
		{context.DeadlineExceeded, fault.Timeout},
		{os.ErrDeadlineExceeded, fault.Timeout},
		{net.ErrClosed, fault.Closed},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, fault.Unavailable},
		{&fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES}, fault.Denied},
		{&fs.PathError{Op: "open", Path: "x", Err: syscall.ENOENT}, fault.NotFound},
		{syscall.EMFILE, fault.Exhausted},
		{&fs.PathError{Op: "write", Path: "x", Err: syscall.EDQUOT}, fault.Exhausted},
		{syscall.EPIPE, fault.PeerDied},
		{fmt.Errorf("outer: %w", fault.New(fault.TooLarge, "send", "", nil)), fault.TooLarge},
		{errors.New("no idea"), fault.Other},
		{nil, fault.Other},
	}
	for _, c := range cases {
		if got := fault.KindOf(c.err); got != c.want {
			t.Errorf("KindOf(%v) = %v, want %v", c.err, got, c.want)
		}
	}
}

func TestErrorMatchesKindCauseAndStandardWords(t *testing.T) {
	cause := errors.New("cause")
	cases := []struct {
		err     error
		matches []error
	}{
		{fault.New(fault.Closed, "read", "shm://a", cause), []error{fault.Closed, cause, net.ErrClosed}},
		{fault.New(fault.Timeout, "dial", "", cause), []error{fault.Timeout, os.ErrDeadlineExceeded}},
		{fault.New(fault.Denied, "dial", "", nil), []error{fault.Denied, fs.ErrPermission}},
		{fault.New(fault.NotFound, "open", "", nil), []error{fault.NotFound, fs.ErrNotExist}},
	}
	for _, c := range cases {
		for _, target := range c.matches {
			if !errors.Is(c.err, target) {
				t.Errorf("%v is not %v", c.err, target)
			}
		}
		if errors.Is(c.err, fault.Protocol) {
			t.Errorf("%v is a protocol error", c.err)
		}
	}
	var ne net.Error
	if err := error(fault.New(fault.Timeout, "dial", "", nil)); !errors.As(err, &ne) || !ne.Timeout() {
		t.Error("a time-out is no net.Error that timed out")
	}
}

func TestErrorText(t *testing.T) {
	err := fault.New(fault.Unavailable, "dial", "shm://a", errors.New("nobody listens")).WithHint("start it")
	if got, want := err.Error(), "dial shm://a: unavailable: nobody listens (start it)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := fault.New(fault.Denied, "dial", "shm://a", nil).Error(); got != "dial shm://a: denied" {
		t.Errorf("without a cause it reads %q", got)
	}
	twice := fault.New(fault.Denied, "call", "", fault.New(fault.Denied, "dial", "shm://a", nil))
	if strings.Count(twice.Error(), "denied") != 1 {
		t.Errorf("the kind is repeated in %q", twice.Error())
	}
	if fault.Wrap("dial", "x", nil) != nil {
		t.Error("Wrap of nil is not nil")
	}
}
