// SPDX-License-Identifier: Apache-2.0

package exec_test

import (
	"context"
	"fmt"
	"io"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/transport/exec"
)

func ExampleDial() {
	ctx := context.Background()
	addr, err := endpoint.Parse("exec:tr a-z A-Z")
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := exec.Dial(ctx, addr, exec.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = c.Close() }()
	_, _ = io.WriteString(c, "loud and clear")
	_ = c.CloseWrite()
	text, err := io.ReadAll(c)
	fmt.Println(string(text), err)
	fmt.Println(c.Peer().Method, c.Wait(ctx))
	// Output:
	// LOUD AND CLEAR <nil>
	// spawned <nil>
}
