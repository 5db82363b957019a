// SPDX-License-Identifier: Apache-2.0

package tls

import (
	"crypto/tls"
	"net"
	"strings"

	"github.com/parley-ipc/parley/endpoint"
)

// Config is what one side shows and trusts. The zero value dials servers whose
// certificate the system's authorities signed, and shows none; a listener
// needs a certificate.
type Config struct {
	// CertFile and KeyFile are our certificate, with its chain, and its key,
	// in PEM. A listener reads them again when they change, a dialler for each
	// connection.
	CertFile, KeyFile string

	// CAFile holds, in PEM, the authorities that sign our peers' certificates.
	// A listener without one asks for no client certificate, and everyone is
	// anonymous to it; a dialler without one trusts the system's.
	CAFile string

	// ServerName is the name that the server's certificate must have: a host,
	// an IP address, or a SPIFFE ID. Dial only. Default: the address's host.
	ServerName string

	// RequireClientCert makes a listener break the handshake of a client
	// without a certificate, instead of letting policy decide about it.
	RequireClientCert bool

	// NextProtos are the protocols offered by ALPN, best first. Default none.
	NextProtos []string

	// Base holds what is not in files: Certificates, GetCertificate,
	// GetClientCertificate, ClientCAs, RootCAs, Time and so on. It is not
	// changed. The fields above win over it, and RequireClientCert over its
	// ClientAuth; the version is TLS 1.3 and session tickets are off, whatever
	// it says, so that every connection is judged by the authorities of the day.
	Base *tls.Config
}

// base returns a copy of c.Base that speaks TLS 1.3 and shows and trusts m.
func (c Config) base(m material) *tls.Config {
	t := &tls.Config{}
	if c.Base != nil {
		t = c.Base.Clone()
	}
	t.MinVersion, t.MaxVersion = tls.VersionTLS13, tls.VersionTLS13
	t.SessionTicketsDisabled, t.ClientSessionCache = true, nil
	if len(c.NextProtos) > 0 {
		t.NextProtos = c.NextProtos
	}
	if m.cert != nil {
		t.Certificates, t.GetCertificate, t.GetClientCertificate = []tls.Certificate{*m.cert}, nil, nil
	}
	return t
}

// server is the configuration of a listener with m.
func (c Config) server(m material) *tls.Config {
	t := c.base(m)
	t.GetConfigForClient = nil // it could go around all of this
	if m.authorities != nil {
		t.ClientCAs = m.authorities
	}
	switch {
	case t.ClientCAs == nil:
		t.ClientAuth = tls.NoClientCert
	case c.RequireClientCert:
		t.ClientAuth = tls.RequireAndVerifyClientCert
	default:
		t.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return t
}

// client is the configuration for dialling addr with m.
func (c Config) client(addr endpoint.Address, m material) *tls.Config {
	t := c.base(m)
	if m.authorities != nil {
		t.RootCAs = m.authorities
	}
	name := c.ServerName
	if name == "" {
		name = t.ServerName
	}
	if strings.HasPrefix(name, "spiffe://") {
		t.ServerName = host(addr) // for SNI
		verifySPIFFE(t, name)
		return t
	}
	if name == "" {
		name = host(addr)
	}
	t.ServerName = name
	return t
}

// host is the name in addr by which its server goes: where there is none, the
// server is on this machine.
func host(addr endpoint.Address) string {
	h, _, err := net.SplitHostPort(addr.Host)
	if err != nil {
		h = addr.Host
	}
	h, _, _ = strings.Cut(h, "%") // an IPv6 zone
	if ip := net.ParseIP(h); h == "" || ip != nil && ip.IsUnspecified() {
		return "localhost"
	}
	return h
}
