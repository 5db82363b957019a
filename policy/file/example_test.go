// SPDX-License-Identifier: Apache-2.0

package file_test

import (
	"fmt"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/policy"
	"github.com/parley-ipc/parley/policy/file"
)

// A program keeps its policy current like this:
//
//	path, err := file.Find(*policyFlag)
//	…
//	hup := make(chan os.Signal, 1)
//	signal.Notify(hup, syscall.SIGHUP)
//	rules, err := file.Open(path, file.Options{Logger: logger, Signal: hup})
//	…
//	defer rules.Close()
//	l, err := parley.ListenConfig{Authorizer: rules}.Listen(ctx, "shm://orders")
func Example() {
	p, err := file.Parse("policy.yaml", []byte(`
rules:
- who: [gid:700, "spiffe://corp/billing/*"]
  may: [connect, call]
  on: ["endpoint:shm://orders", "rpc:/orders.v1.Orders/*"]
`), policy.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	id := auth.Identity{Method: auth.TLS, Name: "spiffe://corp/billing/eu"}
	fmt.Println(p.Explain(id, auth.Call, "rpc:/orders.v1.Orders/Get").Reason)

	_, err = file.Parse("policy.yaml", []byte(`
rules:
- who: [spiffe:corp]
  may: [conect]
  on: ["rpc:*"]
`), policy.Options{})
	fmt.Println(err)
	// Output:
	// spiffe://corp/billing/eu: allowed by rule 1 (policy.yaml:3)
	// policy policy.yaml: invalid: policy.yaml:3:9: "spiffe:corp" names nobody (write uid:N, user:NAME, gid:N, group:NAME, spiffe://GLOB, dns:GLOB, cn:GLOB, token:GLOB, anonymous or "*")
	// policy.yaml:4:9: unknown action "conect" (did you mean connect?)
}
