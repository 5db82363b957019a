// SPDX-License-Identifier: Apache-2.0

package parley_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/fault"
)

// TestBadAddresses: both doors refuse them, and say what would be right.
func TestBadAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"":                        "write one of shm://NAME",
		"orders":                  "no scheme: write one of shm://NAME",
		"://orders":               "no scheme: write one of shm://NAME",
		"http://orders":           `unknown scheme "http": write one of shm://NAME`,
		"SHM://orders":            `unknown scheme "SHM": write one of shm://NAME`,
		"shm:orders":              "write shm://NAME or shm:///ABS/PATH",
		"shm://":                  "the name is empty",
		"shm://a/b":               "or an absolute path",
		"shm://..":                "start with a letter or a digit",
		"shm://-x":                "start with a letter or a digit",
		"shm://a b":               "use letters, digits, '.', '_' and '-'",
		"shm://@x":                "write shm://USER@NAME",
		"unix://a@":               "the name is empty",
		"unix:":                   "write unix://NAME or unix:///ABS/PATH",
		"unix://x\x00y":           "zero byte",
		"tcp://7000":              "write tcp://127.0.0.1:7000",
		"tcp://[::1":              "write tcp://127.0.0.1:7000 or tcp://[::1]:7000",
		"tcp://127.0.0.1:":        "write tcp://127.0.0.1:7000",
		"tls:host:1":              "write tls://HOST:PORT",
		"tcp://h:1?secure=no":     `does not know the option "secure": it knows ["insecure"]`,
		"tcp://h:1?insecure=yes":  "write true or false",
		"tls://h:1?insecure=true": "does not know the option",
		"fifo://x":                "fifo:///tmp/NAME",
		"exec:":                   "write exec:PROGRAM ARGS",
		`exec:"cat`:               "quote",
		"stdio:x":                 "takes nothing after the colon",
		"inproc:x":                "write inproc://NAME",
		"inproc://":               "the name is empty",
	} {
		_, lerr := parley.Listen(t.Context(), address)
		_, derr := (&parley.Dialer{AllowExec: true}).Dial(t.Context(), address)
		for _, err := range []error{lerr, derr} {
			if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v; want invalid with %q", address, err, want)
			}
		}
	}
}

func TestExecIsRefusedUnlessAllowed(t *testing.T) {
	_, err := parley.Dial(t.Context(), "exec:true")
	if !errors.Is(err, fault.Denied) || !strings.Contains(err.Error(), "set Dialer.AllowExec") {
		t.Errorf("the zero Dialer and exec: %v", err)
	}
	_, err = (&parley.Dialer{AllowExec: true}).Dial(t.Context(), "exec:/nonexistent/program")
	if err == nil || errors.Is(err, fault.Denied) || !strings.Contains(err.Error(), "/nonexistent/program") {
		t.Errorf("a program that is not there: %v", err)
	}
	_, err = parley.Listen(t.Context(), "exec:true")
	if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "stdio:") {
		t.Errorf("listening on exec: %v", err)
	}
}

func TestPlainTCPBeyondLoopbackIsRefused(t *testing.T) {
	_, dialled := parley.Dial(t.Context(), "tcp://192.0.2.1:1")
	errs := map[string]error{"dial tcp://192.0.2.1:1": dialled}
	for _, address := range []string{"tcp://0.0.0.0:0", "tcp://:0", "tcp://[::]:0", "tcp://192.0.2.1:1"} {
		_, errs["listen "+address] = parley.Listen(t.Context(), address)
	}
	for what, err := range errs {
		if !errors.Is(err, fault.Denied) || !strings.Contains(err.Error(), "insecure=true") || !strings.Contains(err.Error(), "tls://") {
			t.Errorf("%s: %v; want a refusal that names ?insecure=true and tls://", what, err)
		}
	}
	ln, err := parley.Listen(t.Context(), "tcp://0.0.0.0:0?insecure=true")
	if err != nil {
		t.Fatal(err)
	}
	if err := ln.Close(); err != nil {
		t.Error(err)
	}
}
