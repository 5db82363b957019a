// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"fmt"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/policy"
)

func Example() {
	p, err := policy.New([]policy.Rule{
		{
			Who: []string{"spiffe://corp/billing/*"},
			May: []auth.Action{auth.Connect, auth.Call},
			On:  []string{"endpoint:tls://0.0.0.0:7000", "rpc:/orders.v1.Orders/*"},
		},
		{
			Who:      []string{"*"},
			May:      []auth.Action{"*"},
			On:       []string{"rpc:/orders.v1.Orders/Delete"},
			Deny:     true,
			Position: "policy.yaml:7",
		},
	}, policy.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	id := auth.Identity{Method: auth.TLS, Name: "spiffe://corp/billing/eu"}
	for _, method := range []string{"Get", "Delete"} {
		d := p.Explain(id, auth.Call, "rpc:/orders.v1.Orders/"+method)
		fmt.Println(d.Allowed, d.Reason)
	}
	fmt.Println(p.Explain(id, auth.Publish, "topic:prices").Reason)
	// Output:
	// true spiffe://corp/billing/eu: allowed by rule 1
	// false spiffe://corp/billing/eu: denied by rule 2 (policy.yaml:7)
	// spiffe://corp/billing/eu: no rule allows
}
