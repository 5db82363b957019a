// SPDX-License-Identifier: Apache-2.0

package tls

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"reflect"
	"time"

	"github.com/parley-ipc/parley/fault"
)

// Alerts of RFC 8446, section 6, by which a peer tells what it has against
// our certificate or our protocol.
const (
	badCertificate     = 42
	unsupportedCert    = 43
	certificateRevoked = 44
	certificateExpired = 45
	certificateUnknown = 46
	unknownCA          = 48
	accessDenied       = 49
	protocolVersion    = 70
	certRequired       = 116
	noAppProtocol      = 120
)

// remoteAlert returns the alert that the peer sent, if err is one. crypto/tls
// has no exported type for it outside QUIC, only its number's kind tells.
func remoteAlert(err error) (code uint8, ok bool) {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" {
		return 0, false
	}
	v := reflect.ValueOf(op.Err)
	if v.Kind() != reflect.Uint8 {
		return 0, false
	}
	return uint8(v.Uint()), true
}

func alertError(op, addr string, code uint8, err error) *fault.Error {
	kind, why, hint := fault.Protocol, "the peer broke off", ""
	switch code {
	case certRequired:
		kind, why, hint = fault.Denied, "the peer wants a certificate from us", "give --cert and --key; `parley ca issue` makes them"
	case certificateExpired:
		kind, why, hint = fault.Denied, "our certificate is expired for the peer", "issue a new one, or check the clocks"
	case unknownCA:
		kind, why, hint = fault.Denied, "the peer does not trust the authority of our certificate", "use a certificate of an authority in the peer's --ca file"
	case badCertificate, unsupportedCert, certificateRevoked, certificateUnknown, accessDenied:
		kind, why, hint = fault.Denied, "the peer refuses our certificate", "use one that an authority in the peer's --ca file signed, for this use"
	case protocolVersion:
		why, hint = "the peer speaks another version of TLS", "both sides need TLS 1.3"
	case noAppProtocol:
		why, hint = "we have no application protocol (ALPN) in common", "check what listens there"
	}
	return fault.New(kind, op, addr, fmt.Errorf("%s: %w", why, err)).WithHint(hint)
}

// handshakeError tells why a handshake failed. ctx bounded it.
func handshakeError(ctx context.Context, op, addr string, err error) *fault.Error {
	var invalid *tls.CertificateVerificationError
	var notTLS tls.RecordHeaderError
	if ctx.Err() != nil {
		return fault.New(fault.KindOf(context.Cause(ctx)), op, addr, err).WithHint("the peer takes too long over the handshake, or does not speak TLS")
	}
	if code, ok := remoteAlert(err); ok {
		return alertError(op, addr, code, err)
	}
	switch {
	case errors.As(err, &invalid):
		return verificationError(op, addr, invalid)
	case errors.As(err, &notTLS):
		return fault.New(fault.Protocol, op, addr, err).WithHint("the peer does not speak TLS: is it tcp://?")
	case errors.Is(err, errCut{}):
		return fault.New(fault.PeerDied, op, addr, fmt.Errorf("during the handshake: %w", err)).WithHint("does the peer speak TLS?")
	}
	kind := fault.KindOf(err)
	if kind == fault.Other {
		kind = fault.Protocol
	}
	return fault.New(kind, op, addr, err)
}

// verificationError tells what is wrong with the peer's certificate.
func verificationError(op, addr string, err *tls.CertificateVerificationError) *fault.Error {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	hint := ""
	switch {
	case errors.As(err, &unknown):
		hint = "no authority that we trust signed the peer's certificate: give the one that did with --ca"
	case errors.As(err, &host):
		hint = "dial by a name that the server's certificate has, or say which one it has with --server-name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert.NotBefore.After(time.Now()):
		hint = "the peer's certificate is not valid yet: check the clocks"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		hint = "the peer's certificate is expired: it needs a new one (`parley ca issue --force`); if it is not, check the clocks"
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		hint = "the peer's certificate is not for this use: issue one for a server or a client, or for both"
	}
	return fault.New(fault.Denied, op, addr, err).WithHint(hint)
}
