// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"testing"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/topic/topictest"
)

func TestSuite(t *testing.T) {
	topictest.Run(t, topictest.Backend{Open: func(t testing.TB) func() topictest.Engine {
		runtimeDir(t)
		return func() topictest.Engine { return open(t, "mem://desk", Config{}) }
	}})
}

// open opens a handle that the caller closes.
func open(t testing.TB, address string, cfg Config) *Engine {
	t.Helper()
	addr, err := endpoint.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	e, err := Open(t.Context(), addr, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return e
}
