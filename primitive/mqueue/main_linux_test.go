// SPDX-License-Identifier: Apache-2.0

package mqueue

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/parley-ipc/parley/internal/proctest"
)

func TestMain(m *testing.M) {
	proctest.RunRole(map[string]proctest.Role{"flood": flood, "registered": registered})
	goleak.VerifyTestMain(m)
}

var nth atomic.Int32

// fresh makes a queue of the test's own.
func fresh(t testing.TB, c Config) *Queue {
	t.Helper()
	c.Create, c.Exclusive = true, true
	name := fmt.Sprintf("/parley-test-%d-%d", os.Getpid(), nth.Add(1))
	q, err := Open(name, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = q.Close(), Unlink(name) })
	return q
}

func open(t *testing.T, name string, c Config) *Queue {
	t.Helper()
	q, err := Open(name, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return q
}

func send(t *testing.T, q *Queue, data string, priority uint32) {
	t.Helper()
	if err := q.Send(t.Context(), []byte(data), priority); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, q *Queue, data string, priority uint32) {
	t.Helper()
	m, err := q.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if string(m.Data) != data || m.Priority != priority {
		t.Fatalf("%q with priority %d, want %q with %d", m.Data, m.Priority, data, priority)
	}
}

// flood NAME sends whole messages until it is killed.
func flood(p *proctest.Self) error {
	q, err := Open(p.Args[0], Config{})
	if err != nil {
		return err
	}
	p.Say("sending")
	for i := 0; ; i++ {
		if err := q.Send(context.Background(), bytes.Repeat([]byte{byte(i)}, q.MessageSize()), 0); err != nil {
			return err
		}
	}
}

// registered NAME asks to be notified, and waits to be killed.
func registered(p *proctest.Self) error {
	q, err := Open(p.Args[0], Config{})
	if err != nil {
		return err
	}
	if _, err := q.Notify(); err != nil {
		return err
	}
	p.Say("registered")
	_, _ = p.Hear()
	return nil
}
