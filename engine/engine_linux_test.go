// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/parley-ipc/parley/engine"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/topic"
	"github.com/parley-ipc/parley/topic/topictest"
)

func TestSuite(t *testing.T) {
	topictest.Run(t, topictest.Backend{Open: func(t testing.TB) func() topictest.Engine {
		dir, err := os.MkdirTemp("", "p") //nolint:usetesting // t.TempDir is too long for a socket
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		t.(*testing.T).Setenv("PARLEY_RUNTIME_DIR", dir)
		return func() topictest.Engine {
			e, err := engine.Open(context.Background(), "mem://desk")
			if err != nil {
				t.Fatal(err)
			}
			return e
		}
	}})
}

func TestBadAddresses(t *testing.T) {
	for _, bad := range []string{"", "mem:desk", "mem://", "shm://desk", "mem://a/topic/b", "mem:///tmp/x"} {
		if e, err := engine.Open(t.Context(), bad); !errors.Is(err, fault.Invalid) {
			t.Errorf("%q: %v, %v", bad, e, err)
		}
	}
}

// One process publishes, the other subscribes; here both are the same.
func Example() {
	ctx := context.Background()
	dir, _ := os.MkdirTemp("", "p") // the example's own, not the user's
	defer os.RemoveAll(dir)
	_ = os.Setenv("PARLEY_RUNTIME_DIR", dir)

	e, err := engine.Open(ctx, "mem://desk")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer e.Close()
	prices := e.Topic("prices")

	// It may subscribe before anybody publishes.
	sub, err := prices.Subscribe(ctx, topic.SubscribeConfig{Subject: "prices.*"})
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := prices.Publisher(ctx, topic.PublisherConfig{})
	if err != nil {
		fmt.Println(err) // somebody publishes it: the error says who
		return
	}
	_ = p.Publish(ctx, topic.Message{Subject: "prices.eur", Data: []byte("1.09")})
	_ = p.Publish(ctx, topic.Message{Subject: "weather", Data: []byte("rain")})
	_ = p.Publish(ctx, topic.Message{Subject: "prices.usd", Data: []byte("0.92")})

	for range 2 {
		it, err := sub.Next(ctx)
		fmt.Printf("%d %s = %s %v\n", it.Seq, it.Subject, it.Data, err)
	}
	// Output:
	// 0 prices.eur = 1.09 <nil>
	// 2 prices.usd = 0.92 <nil>
}
