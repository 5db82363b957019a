// SPDX-License-Identifier: Apache-2.0

package ca

import (
	"net/url"
	"strings"
	"testing"
)

func TestCheckSPIFFE(t *testing.T) {
	for _, id := range []string{"spiffe://td", "spiffe://a-b.c_d/x", "spiffe://corp.example/Billing/worker-1/...x"} {
		if err := CheckSPIFFE(id); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
	for _, id := range []string{
		"", "spiffe://", "spiffe:///a", "https://td/a", "SPIFFE://td/a", "spiffe://TD/a", "spiffe://td/", "spiffe://td/a/",
		"spiffe://td//a", "spiffe://td/./a", "spiffe://td/..", "spiffe://td:80/a", "spiffe://u@td/a", "spiffe://td/a?b", "spiffe://td/a#b",
		"spiffe://td/a%2fb", "spiffe://td/é", "spiffe://" + strings.Repeat("a", 256), "spiffe://td/" + strings.Repeat("a", 2048),
	} {
		if err := CheckSPIFFE(id); err == nil {
			t.Errorf("%.40q passes", id)
		}
	}
}

// FuzzCheckSPIFFE: what passes is a URL that reads back as itself.
func FuzzCheckSPIFFE(f *testing.F) {
	f.Add("spiffe://corp.example/billing")
	f.Add("spiffe://td/a%2fb")
	f.Fuzz(func(t *testing.T, id string) {
		if CheckSPIFFE(id) != nil {
			return
		}
		u, err := url.Parse(id)
		if err != nil || u.String() != id || u.Scheme != "spiffe" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			t.Errorf("%q passes and reads as %v, %v", id, u, err)
		}
	})
}
