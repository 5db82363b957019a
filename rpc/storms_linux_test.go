// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"context"
	"log/slog"
	"os"
	"testing"

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/internal/rpctest"
	"github.com/parley-ipc/parley/rpc"
	"github.com/parley-ipc/parley/transport/shm"
)

// stormPlace is our server and our client at an address.
var stormPlace = placeOf(shm.Options{})

// trustingPlace is the same where this side reads in place.
var trustingPlace = placeOf(shm.Options{Trusted: true})

func placeOf(opts shm.Options) rpctest.Place {
	return rpctest.Place{
		Listen: func(address string) (func(), error) {
			s := rpc.NewServer(rpc.ServerConfig{SHM: opts, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
			rpctest.RegisterStorm(s)
			ln, err := s.Listen(context.Background(), address)
			if err != nil {
				return nil, err
			}
			served := make(chan struct{})
			go func() { defer close(served); _ = s.Serve(ln) }()
			return func() { s.Stop(); <-served }, nil
		},
		Dial: func(address string) (rpctest.Client, error) {
			return rpc.NewClient(rpc.ClientConfig{Address: address, Dialer: parley.Dialer{SHM: opts}})
		},
	}
}

// lighten makes the storms shorter under the race detector, unless somebody has
// said how long they are.
func lighten(t *testing.T, calls string) {
	t.Helper()
	for name, value := range map[string]string{"PARLEY_CALLS": calls, "PARLEY_KILLS": "2"} {
		if raced && os.Getenv(name) == "" {
			t.Setenv(name, value)
		}
	}
}

// TestStorms: random calls and streams from 64 callers at once, of sizes
// beyond the ring, some cancelled, with GOMAXPROCS of 1, 2 and 8: each gets
// its own answer, nothing hangs, nothing stays behind.
func TestStorms(t *testing.T) {
	lighten(t, "300")
	for _, w := range longWays() {
		switch w.name {
		case "shm", "unix", "tls", "shm that falls back", "shm, trusted":
			t.Run(w.name, func(t *testing.T) { rpctest.Storms(t, w.backend()) })
		}
	}
	small := way{name: "shm, trusted, small rings", address: inDir("shm"), trusted: true, ring: shm.MinRingSize}
	t.Run(small.name, func(t *testing.T) { rpctest.Storms(t, small.backend()) })
}

// TestKilledServers and TestKilledClients: the same while the other side is
// killed.
func TestKilledServers(t *testing.T) {
	lighten(t, "300")
	for _, scheme := range []string{"shm", "unix"} {
		t.Run(scheme, func(t *testing.T) { stormPlace.KilledServers(t, inDir(scheme)(t)) })
	}
	t.Run("shm, trusted", func(t *testing.T) { trustingPlace.KilledServers(t, inDir("shm")(t)) })
}

func TestKilledClients(t *testing.T) {
	lighten(t, "300")
	for _, scheme := range []string{"shm", "unix"} {
		t.Run(scheme, func(t *testing.T) { stormPlace.KilledClients(t, inDir(scheme)(t)) })
	}
	t.Run("shm, trusted", func(t *testing.T) { trustingPlace.KilledClients(t, inDir("shm")(t)) })
}

// TestStormUnderQuota: the same with a server that the kernel throttles.
func TestStormUnderQuota(t *testing.T) {
	lighten(t, "100")
	for _, scheme := range []string{"shm", "unix"} {
		t.Run(scheme, func(t *testing.T) { stormPlace.Throttled(t, inDir(scheme)(t)) })
	}
}
