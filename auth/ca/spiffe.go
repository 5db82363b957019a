// SPDX-License-Identifier: Apache-2.0

package ca

import (
	"errors"
	"fmt"
	"strings"
)

// Limits of the SPIFFE-ID standard, in bytes.
const (
	maxSPIFFE      = 2048
	maxTrustDomain = 255
)

const (
	lower  = "abcdefghijklmnopqrstuvwxyz"
	digits = "0123456789"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

	trustDomainChars = lower + digits + ".-_"
	segmentChars     = lower + upper + digits + ".-_"
)

// CheckSPIFFE reports what is wrong with a SPIFFE ID, such as
// "spiffe://corp.example/billing/worker", by the SPIFFE-ID standard
// (section 2): lower-case trust domain, no port, no query, no empty or dotted
// path segment.
func CheckSPIFFE(id string) error {
	rest, ok := strings.CutPrefix(id, "spiffe://")
	if !ok {
		return errors.New("it does not start with spiffe://")
	}
	if len(id) > maxSPIFFE {
		return fmt.Errorf("it is longer than %d bytes", maxSPIFFE)
	}
	domain, path, hasPath := strings.Cut(rest, "/")
	if domain == "" || len(domain) > maxTrustDomain {
		return fmt.Errorf("the trust domain is empty or longer than %d bytes", maxTrustDomain)
	}
	if i := strings.IndexFunc(domain, notIn(trustDomainChars)); i >= 0 {
		return fmt.Errorf("the trust domain %q has a character other than a-z, 0-9, '.', '-' and '_'", domain)
	}
	if !hasPath {
		return nil
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return fmt.Errorf("the path /%s has the segment %q", path, segment)
		}
		if strings.ContainsFunc(segment, notIn(segmentChars)) {
			return fmt.Errorf("the segment %q has a character other than letters, digits, '.', '-' and '_'", segment)
		}
	}
	return nil
}

func notIn(chars string) func(rune) bool {
	return func(r rune) bool { return !strings.ContainsRune(chars, r) }
}
