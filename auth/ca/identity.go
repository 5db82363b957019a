// SPDX-License-Identifier: Apache-2.0

package ca

import (
	"crypto/x509"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/parley-ipc/parley/auth"
)

// Identity returns who a verified certificate says that its holder is: its
// SPIFFE ID, else its first DNS name, else its common name. One that has none
// of them is anonymous. A certificate with a spiffe: URI that is malformed or
// not its only URI is an error, as the X.509-SVID standard wants.
func Identity(cert *x509.Certificate) (auth.Identity, error) {
	for _, u := range cert.URIs {
		if !strings.EqualFold(u.Scheme, "spiffe") {
			continue
		}
		if len(cert.URIs) != 1 {
			return auth.Identity{}, fmt.Errorf("the certificate has %d URIs, and a SPIFFE ID must be the only one", len(cert.URIs))
		}
		id := u.String()
		if err := CheckSPIFFE(id); err != nil {
			return auth.Identity{}, fmt.Errorf("the certificate's SPIFFE ID %q is malformed: %w", id, err)
		}
		return named(id), nil
	}
	if len(cert.DNSNames) > 0 && plain(cert.DNSNames[0]) {
		return named("dns:" + strings.ToLower(cert.DNSNames[0])), nil
	}
	if cn := cert.Subject.CommonName; plain(cn) {
		return named("cn:" + cn), nil
	}
	return auth.Identity{Method: auth.None}, nil
}

func named(name string) auth.Identity { return auth.Identity{Method: auth.TLS, Name: name} }

// plain reports that s can stand in a log line and in a rule.
func plain(s string) bool {
	return s != "" && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}
