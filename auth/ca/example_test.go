// SPDX-License-Identifier: Apache-2.0

package ca_test

import (
	"fmt"
	"os"

	"github.com/parley-ipc/parley/auth/ca"
)

func Example() {
	dir, err := os.MkdirTemp("", "ca")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()

	if err := ca.Init(dir, "example authority", 0); err != nil {
		fmt.Println(err)
		return
	}
	leaf, err := ca.Issue(dir, ca.Request{SPIFFE: "spiffe://corp.example/billing", Client: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	info, err := ca.Show(leaf.CertFile)
	fmt.Println(info.Identity, "for clients:", info.Client, "for servers:", info.Server, err)
	// Output: spiffe://corp.example/billing for clients: true for servers: false <nil>
}
