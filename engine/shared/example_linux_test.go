// SPDX-License-Identifier: Apache-2.0

package shared_test

import (
	"context"
	"fmt"
	"os"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/engine/shared"
	"github.com/parley-ipc/parley/topic"
)

// Both ends in one process; most programs have one of them, and open the
// engine by engine.Open.
func Example() {
	ctx := context.Background()
	defer privateDir()()
	addr, _ := endpoint.Parse("mem://desk")
	e, err := shared.Open(ctx, addr, shared.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer e.Close()

	sub, err := e.Topic("frames").Subscribe(ctx, topic.SubscribeConfig{Policy: topic.Latest})
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := e.Topic("frames").Publisher(ctx, topic.PublisherConfig{MaxData: 8 << 20})
	if err != nil {
		fmt.Println(err)
		return
	}
	for i := range 3 {
		l, err := p.Loan(ctx, topic.Message{Subject: "camera.1"}, 8<<20)
		if err != nil {
			fmt.Println(err)
			return
		}
		_ = l.Publish(copy(l.Bytes(), fmt.Sprint("frame ", i))) // written where subscribers read it
	}
	it, err := sub.Borrow(ctx) // read where it was written
	fmt.Printf("%s on %s, %d older ones passed over, %v\n", it.Data, it.Subject, it.Lost, err)
	fmt.Println("whole:", sub.Release())
	// Output:
	// frame 2 on camera.1, 2 older ones passed over, <nil>
	// whole: true
}

// privateDir keeps the example out of the user's runtime directory.
func privateDir() (restore func()) {
	dir, _ := os.MkdirTemp("", "p")
	was, had := os.LookupEnv("PARLEY_RUNTIME_DIR")
	_ = os.Setenv("PARLEY_RUNTIME_DIR", dir)
	return func() {
		_ = os.RemoveAll(dir)
		if had {
			_ = os.Setenv("PARLEY_RUNTIME_DIR", was)
		} else {
			_ = os.Unsetenv("PARLEY_RUNTIME_DIR")
		}
	}
}
