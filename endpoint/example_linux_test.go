// SPDX-License-Identifier: Apache-2.0

package endpoint_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
)

func ExampleAcquire() {
	dir, err := os.MkdirTemp("", "endpoint")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	_ = os.Setenv("PARLEY_RUNTIME_DIR", filepath.Join(dir, "run")) // this example leaves nothing behind
	defer func() { _ = os.Unsetenv("PARLEY_RUNTIME_DIR") }()
	addr, err := endpoint.Parse("unix://" + filepath.Join(dir, "orders.sock"))
	if err != nil {
		fmt.Println(err)
		return
	}

	claim, err := endpoint.Acquire(context.Background(), addr)
	if err != nil {
		fmt.Println(err)
		return
	}
	ln, err := net.Listen("unix", claim.Path())
	if err != nil {
		fmt.Println(err)
		return
	}
	claim.Counters().Accepted.Add(1)
	fmt.Println("bound:", claim.Bound() == nil)

	_, err = endpoint.Acquire(context.Background(), addr)
	fmt.Println("again, in use:", errors.Is(err, fault.InUse))

	_ = ln.Close()
	fmt.Println("close:", claim.Close() == nil)
	// Output:
	// bound: true
	// again, in use: true
	// close: true
}

func ExampleParse() {
	for _, s := range []string{"shm://ana@orders", "unix:/tmp/x.sock", "smh://orders"} {
		addr, err := endpoint.Parse(s)
		if err != nil {
			fmt.Println(errors.Is(err, fault.Invalid))
			continue
		}
		fmt.Printf("%v: user %q, name %q, path %q\n", addr, addr.User, addr.Name, addr.Path)
	}
	// Output:
	// shm://ana@orders: user "ana", name "orders", path ""
	// unix:///tmp/x.sock: user "", name "", path "/tmp/x.sock"
	// true
}
