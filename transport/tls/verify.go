// SPDX-License-Identifier: Apache-2.0

package tls

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/auth/ca"
)

// verifySPIFFE makes t accept a server whose certificate an authority signed
// and whose SPIFFE ID is want, whatever host it runs on. crypto/tls verifies
// host names only, so its own check is replaced by the same one without a
// host.
func verifySPIFFE(t *tls.Config, want string) {
	roots, now, next := t.RootCAs, t.Time, t.VerifyConnection
	t.InsecureSkipVerify = true // VerifyConnection does it
	t.VerifyConnection = func(state tls.ConnectionState) error {
		certs := state.PeerCertificates
		if len(certs) == 0 {
			return errors.New("the server shows no certificate")
		}
		if err := verifyChain(certs, roots, now); err != nil {
			return &tls.CertificateVerificationError{UnverifiedCertificates: certs, Err: err}
		}
		id, err := ca.Identity(certs[0])
		if err == nil && id.Name != want {
			err = fmt.Errorf("the server is %s, not %s", id, want)
		}
		if err != nil {
			return &tls.CertificateVerificationError{UnverifiedCertificates: certs, Err: err}
		}
		if next != nil {
			return next(state)
		}
		return nil
	}
}

func verifyChain(certs []*x509.Certificate, roots *x509.CertPool, now func() time.Time) error {
	o := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if now != nil {
		o.CurrentTime = now()
	}
	for _, c := range certs[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err := certs[0].Verify(o)
	return err
}

// identify names the peer by its certificate, which was verified: a program
// that switched verification off in Config.Base gets anonymous peers.
func identify(state tls.ConnectionState, verified bool) (auth.Identity, error) {
	if len(state.PeerCertificates) == 0 || !verified && len(state.VerifiedChains) == 0 {
		return auth.Identity{Method: auth.None}, nil
	}
	return ca.Identity(state.PeerCertificates[0])
}
