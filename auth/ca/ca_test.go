// SPDX-License-Identifier: Apache-2.0

package ca

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
)

func authority(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ca")
	if err := Init(dir, "test authority", 0); err != nil {
		t.Fatal(err)
	}
	return dir
}

func issue(t *testing.T, dir string, r Request) (Leaf, *x509.Certificate) {
	t.Helper()
	leaf, err := Issue(dir, r)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(leaf.CertFile, leaf.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	return leaf, pair.Leaf
}

func TestIssued(t *testing.T) {
	dir := authority(t)
	r := Request{
		SPIFFE: "spiffe://corp.example/billing/worker", DNS: []string{"billing.example", "*.billing.example"},
		IPs: []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")}, Server: true,
	}
	leaf, cert := issue(t, dir, r)
	roots := x509.NewCertPool()
	parent, err := readCert(leaf.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(parent)
	for _, name := range []string{"billing.example", "x.billing.example", "127.0.0.1", "::1"} {
		if _, err := cert.Verify(x509.VerifyOptions{DNSName: name, Roots: roots}); err != nil {
			t.Errorf("as server %s: %v", name, err)
		}
	}
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err == nil {
		t.Error("a server's certificate passes for a client's")
	}
	if id, err := Identity(cert); err != nil || id.String() != r.SPIFFE || id.Method != auth.TLS {
		t.Errorf("Identity = %v, %v", id, err)
	}
	info, err := Show(leaf.CertFile)
	if err != nil || info.Identity != r.SPIFFE || !info.Server || info.Client || info.CA || len(info.DNS) != 2 || len(info.IPs) != 2 || info.Expired(time.Now()) {
		t.Errorf("Show = %+v, %v", info, err)
	}
	if info, err := Show(leaf.CAFile); err != nil || !info.CA || info.Identity != "cn:test authority" {
		t.Errorf("Show of the authority = %+v, %v", info, err)
	}
}

func TestModes(t *testing.T) {
	dir := authority(t)
	leaf, _ := issue(t, dir, Request{CommonName: "a"})
	for name, want := range map[string]os.FileMode{
		leaf.KeyFile: 0o600, leaf.CertFile: 0o644, leaf.CAFile: 0o644, filepath.Join(dir, KeyName): 0o600, dir: 0o700 | os.ModeDir,
	} {
		if info, err := os.Stat(name); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v, want %v", name, info.Mode(), err, want)
		}
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 4 {
		t.Errorf("%d files are left, %v, want 4", len(files), err)
	}
}

func TestNothingIsOverwritten(t *testing.T) {
	dir := authority(t)
	if err := Init(dir, "again", 0); !errors.Is(err, fault.InUse) {
		t.Errorf("a second authority: %v, want in use", err)
	}
	leaf, first := issue(t, dir, Request{CommonName: "a"})
	if _, err := Issue(dir, Request{CommonName: "a"}); !errors.Is(err, fault.InUse) {
		t.Errorf("a second leaf: %v, want in use", err)
	}
	if err := os.Remove(leaf.CertFile); err != nil { // only the key is left
		t.Fatal(err)
	}
	if _, err := Issue(dir, Request{CommonName: "a"}); !errors.Is(err, fault.InUse) {
		t.Errorf("over a key: %v, want in use", err)
	}
	if _, second := issue(t, dir, Request{CommonName: "a", Force: true}); second.SerialNumber.Cmp(first.SerialNumber) == 0 {
		t.Error("the forced leaf is the old one")
	}
}

func TestValidity(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	if err := Init(dir, "short", time.Hour); err != nil {
		t.Fatal(err)
	}
	leaf, cert := issue(t, dir, Request{CommonName: "long", Validity: 48 * time.Hour})
	if time.Until(cert.NotAfter) > time.Hour || !leaf.NotAfter.Truncate(time.Second).Equal(cert.NotAfter) {
		t.Errorf("the leaf ends %v (%v), after its authority", cert.NotAfter, leaf.NotAfter)
	}
	past := time.Now().Add(-2 * time.Hour)
	if _, cert := issue(t, dir, Request{CommonName: "past", NotBefore: past, Validity: time.Hour}); !time.Now().After(cert.NotAfter) {
		t.Errorf("it ends %v, want an hour ago", cert.NotAfter)
	}
}

func TestBadRequests(t *testing.T) {
	dir := authority(t)
	for name, r := range map[string]Request{
		"nobody":     {},
		"bad SPIFFE": {SPIFFE: "spiffe://Corp/x"},
		"bad DNS":    {DNS: []string{"a b"}},
		"bad IP":     {DNS: []string{"a"}, IPs: []netip.Addr{{}}},
		"bad name":   {CommonName: "a", Name: "../a"},
		"ca's name":  {CommonName: "a", Name: "ca"},
		"negative":   {CommonName: "a", Validity: -1},
		"control":    {CommonName: "a\nb"},
	} {
		if leaf, err := Issue(dir, r); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: %+v, %v, want invalid", name, leaf, err)
		}
	}
	if _, err := Issue(t.TempDir(), Request{CommonName: "a"}); !errors.Is(err, fault.NotFound) {
		t.Errorf("without an authority: %v, want not found", err)
	}
	if leaf, _ := issue(t, dir, Request{DNS: []string{"*.ca"}}); filepath.Base(leaf.CertFile) == CertName {
		t.Errorf("the leaf took the authority's name: %+v", leaf)
	}
}

func TestIdentity(t *testing.T) {
	uri := func(s string) *url.URL {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	cert := func(cn string, dns []string, uris ...*url.URL) *x509.Certificate {
		c := &x509.Certificate{DNSNames: dns, URIs: uris}
		c.Subject.CommonName = cn
		return c
	}
	for _, tt := range []struct {
		name string
		cert *x509.Certificate
		want string // empty: an error
	}{
		{"spiffe first", cert("cn", []string{"d"}, uri("spiffe://td/a")), "spiffe://td/a"},
		{"dns next", cert("cn", []string{"D.example", "e"}, uri("https://x")), "dns:d.example"},
		{"common name last", cert("the name", nil), "cn:the name"},
		{"unprintable", cert("uid:0\x1b[2J", nil), "anonymous"},
		{"nothing", cert("", nil), "anonymous"},
		{"two URIs", cert("cn", nil, uri("spiffe://td/a"), uri("spiffe://td/b")), ""},
		{"spiffe beside another", cert("cn", nil, uri("https://x"), uri("spiffe://td/a")), ""},
		{"malformed", cert("cn", []string{"d"}, uri("spiffe://td/a/../b")), ""},
		{"upper-case scheme", cert("cn", nil, uri("SPIFFE://td:80/a")), ""},
	} {
		id, err := Identity(tt.cert)
		if (err != nil) != (tt.want == "") || err == nil && id.String() != tt.want {
			t.Errorf("%s: %v, %v, want %q", tt.name, id, err, tt.want)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"empty": "", "no certificate": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
		"garbage inside": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
	} {
		file := filepath.Join(dir, "x.crt")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if info, err := Show(file); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: %+v, %v, want invalid", name, info, err)
		}
	}
}
