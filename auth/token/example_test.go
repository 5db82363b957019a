// SPDX-License-Identifier: Apache-2.0

package token_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/auth/token"
)

func Example() {
	dir, err := os.MkdirTemp("", "tokens")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx := context.Background()

	store, err := token.Open(filepath.Join(dir, "tokens"))
	if err != nil {
		fmt.Println(err)
		return
	}
	secret, _, err := store.Add(ctx, "ci", []string{"call:rpc:/orders.v1.Orders/*"}, 24*time.Hour)
	if err != nil {
		fmt.Println(err)
		return
	}
	grant, err := store.Verify(secret) // what the peer presented
	fmt.Println(grant, err)
	fmt.Println(grant.Authorize(ctx, auth.Call, "rpc:/orders.v1.Orders/Get"))
	// Output:
	// token:ci <nil>
	// <nil>
}
