// SPDX-License-Identifier: Apache-2.0

package ca

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/parley-ipc/parley/fault"
)

// Request says what a leaf certificate is for. At least one of SPIFFE, DNS,
// IPs and CommonName is needed.
type Request struct {
	SPIFFE     string       // "spiffe://TRUST-DOMAIN/PATH"
	DNS        []string     // host names; "*.example.com" is allowed
	IPs        []netip.Addr // addresses by which clients dial a server
	CommonName string       // default: the first of the names above

	Client, Server bool // what it may be used as; neither means both

	// Validity is how long it is valid. Default DefaultLeafValidity; it never
	// outlasts the authority.
	Validity time.Duration

	// NotBefore is when it starts to be valid. Default now.
	NotBefore time.Time

	// Dir is where the files go. Default the authority's directory.
	Dir string

	// Name is the files' base name. Default made of the first name.
	Name string

	// Force replaces files that are there already.
	Force bool
}

// maxCommonName is X.509's ub-common-name, in characters; a longer name stands
// in the alternative names only.
const maxCommonName = 64

// Leaf is what Issue wrote.
type Leaf struct {
	CertFile string    `json:"cert"`
	KeyFile  string    `json:"key"`
	CAFile   string    `json:"ca"`
	NotAfter time.Time `json:"not_after"`
}

// Issue signs a leaf certificate with the authority in dir and writes it with
// its key. Files that are there already are fault.InUse unless r.Force.
func Issue(dir string, r Request) (Leaf, error) {
	template, base, err := r.template()
	if err != nil {
		return Leaf{}, fault.New(fault.Invalid, "ca issue", dir, err)
	}
	parent, signer, err := load(dir)
	if err != nil {
		return Leaf{}, err
	}
	if time.Now().After(parent.NotAfter) {
		return Leaf{}, fault.New(fault.Invalid, "ca issue", dir, fmt.Errorf("the authority expired on %s", parent.NotAfter.Format(time.DateOnly))).
			WithHint("make a new one with `parley ca init` in another directory")
	}
	if template.NotAfter.After(parent.NotAfter) {
		template.NotAfter = parent.NotAfter
	}
	key, keyPEM, err := newKey()
	if err != nil {
		return Leaf{}, fault.Wrap("ca issue", dir, err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return Leaf{}, fault.New(fault.Invalid, "ca issue", dir, err).WithHint("ca.crt and ca.key must belong together")
	}
	out := dir
	if r.Dir != "" {
		out = r.Dir
	}
	leaf := Leaf{
		CertFile: filepath.Join(out, base+".crt"), KeyFile: filepath.Join(out, base+".key"),
		CAFile: filepath.Join(dir, CertName), NotAfter: template.NotAfter,
	}
	return leaf, writePair(leaf.CertFile, leaf.KeyFile, certPEM(der), keyPEM, r.Force)
}

// template checks the request and returns the certificate to sign and the
// base name of its files.
func (r Request) template() (*x509.Certificate, string, error) {
	names := r.names()
	if len(names) == 0 {
		return nil, "", errors.New("it names nobody: give a SPIFFE ID, a DNS name, an IP address or a common name")
	}
	if r.Validity < 0 {
		return nil, "", fmt.Errorf("the validity %v is negative", r.Validity)
	}
	if r.Validity == 0 {
		r.Validity = DefaultLeafValidity
	}
	cn := r.CommonName
	if cn == "" && len(names[0]) <= maxCommonName {
		cn = names[0]
	}
	if cn != "" && !plain(cn) {
		return nil, "", fmt.Errorf("the common name %q has unprintable characters", cn)
	}
	base, err := r.base(names[0])
	if err != nil {
		return nil, "", err
	}
	t, err := newTemplate(pkix.Name{CommonName: cn}, r.NotBefore, r.Validity)
	if err != nil {
		return nil, "", err
	}
	t.KeyUsage, t.ExtKeyUsage, t.BasicConstraintsValid = x509.KeyUsageDigitalSignature, r.usages(), true
	return t, base, r.addNames(t)
}

func (r Request) names() []string {
	var names []string
	if r.SPIFFE != "" {
		names = append(names, r.SPIFFE)
	}
	names = append(names, r.DNS...)
	for _, ip := range r.IPs {
		names = append(names, ip.String())
	}
	if r.CommonName != "" {
		names = append(names, r.CommonName)
	}
	return names
}

// base is the files' name: one safe component of a path, not the authority's.
func (r Request) base(first string) (string, error) {
	if r.Name != "" {
		if r.Name == "ca" || r.Name[0] == '.' || strings.ContainsFunc(r.Name, notIn(segmentChars)) {
			return "", fmt.Errorf("%q is no name for the files: use letters, digits, '.', '-' and '_', and not \"ca\"", r.Name)
		}
		return r.Name, nil
	}
	first = strings.TrimPrefix(first, "spiffe://")
	base := strings.Trim(strings.Map(func(c rune) rune {
		if notIn(segmentChars)(c) {
			return '_'
		}
		return c
	}, first), "._")
	if base == "" || base == "ca" {
		base = "leaf"
	}
	return base[:min(len(base), 100)], nil
}

func (r Request) usages() []x509.ExtKeyUsage {
	var u []x509.ExtKeyUsage
	if r.Client || !r.Server {
		u = append(u, x509.ExtKeyUsageClientAuth)
	}
	if r.Server || !r.Client {
		u = append(u, x509.ExtKeyUsageServerAuth)
	}
	return u
}

func (r Request) addNames(t *x509.Certificate) error {
	if r.SPIFFE != "" {
		if err := CheckSPIFFE(r.SPIFFE); err != nil {
			return fmt.Errorf("%q is no SPIFFE ID: %w", r.SPIFFE, err)
		}
		u, err := url.Parse(r.SPIFFE)
		if err != nil {
			return err
		}
		t.URIs = []*url.URL{u}
	}
	for _, name := range r.DNS {
		if name == "" || strings.ContainsFunc(name, notIn(segmentChars+"*")) {
			return fmt.Errorf("%q is no DNS name", name)
		}
	}
	t.DNSNames = r.DNS
	for _, ip := range r.IPs {
		if !ip.IsValid() {
			return errors.New("an IP address is empty")
		}
		t.IPAddresses = append(t.IPAddresses, net.IP(ip.Unmap().AsSlice()))
	}
	return nil
}
