// SPDX-License-Identifier: Apache-2.0

package notify_test

import (
	"context"
	"fmt"

	"github.com/parley-ipc/parley/notify"
)

// One process waits; others tell it that there is something to do.
func Example() {
	ctx := context.Background()
	w, err := notify.Wait(ctx, "reload", notify.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = w.Close() }()
	for _, file := range []string{"a.yaml", "b.yaml", "c.yaml"} { // usually another process
		if err := notify.Post(ctx, "reload", []byte(file)); err != nil {
			fmt.Println(err)
		}
	}
	n, err := w.Next(ctx)
	fmt.Printf("%d came, the last says %s (%v)\n", n.Count, n.Payload, err)
	// Output: 3 came, the last says c.yaml (<nil>)
}
