// SPDX-License-Identifier: Apache-2.0

package tls

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/parley-ipc/parley/fault"
)

// material is what the files of a Config hold; nil where none is named.
type material struct {
	cert        *tls.Certificate
	authorities *x509.CertPool
}

// maxFile bounds each file: a bundle of all the world's authorities has a
// quarter of it.
const maxFile = 1 << 20

const howToMake = "make one with `parley ca init` and `parley ca issue`"

// load reads the files. Its errors are fault.Invalid and name the file.
func (c Config) load() (material, error) {
	var m material
	if (c.CertFile == "") != (c.KeyFile == "") {
		return m, bad(c.CertFile+c.KeyFile, errors.New("a certificate and its key go together"), "give both --cert and --key")
	}
	if c.CertFile != "" {
		cert, err := c.loadPair()
		if err != nil {
			return m, err
		}
		m.cert = cert
	}
	if c.CAFile != "" {
		text, err := read(c.CAFile)
		if err != nil {
			return m, err
		}
		m.authorities = x509.NewCertPool()
		if !m.authorities.AppendCertsFromPEM(text) {
			return m, bad(c.CAFile, errors.New("it holds no certificate in PEM"), "give the authority's certificate, such as ca.crt")
		}
	}
	return m, nil
}

func (c Config) loadPair() (*tls.Certificate, error) {
	certPEM, err := read(c.CertFile)
	if err != nil {
		return nil, err
	}
	keyPEM, err := read(c.KeyFile)
	if err != nil {
		return nil, err
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, bad(c.CertFile, fmt.Errorf("it does not make a pair with %s: %w", c.KeyFile, err), "give the key that belongs to the certificate, both in PEM")
	}
	return &cert, checkTime(c.CertFile, cert.Leaf, c.now())
}

func (c Config) now() time.Time {
	if c.Base != nil && c.Base.Time != nil {
		return c.Base.Time()
	}
	return time.Now()
}

// checkTime refuses to start with a certificate that every peer would refuse.
func checkTime(file string, leaf *x509.Certificate, now time.Time) error {
	switch {
	case now.After(leaf.NotAfter):
		return bad(file, fmt.Errorf("the certificate expired on %s", leaf.NotAfter.Format(time.DateTime)), "issue a new one: `parley ca issue --force`")
	case now.Before(leaf.NotBefore):
		return bad(file, fmt.Errorf("the certificate is not valid before %s", leaf.NotBefore.Format(time.DateTime)), "check this machine's clock, or wait")
	}
	return nil
}

func read(name string) ([]byte, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrPermission) {
		return nil, bad(name, err, fmt.Sprintf("let uid %d read it", os.Geteuid()))
	}
	if err != nil {
		return nil, bad(name, err, howToMake)
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, bad(name, err, "")
	}
	if len(text) > maxFile {
		return nil, bad(name, fmt.Errorf("it is longer than %d bytes", maxFile), "")
	}
	return text, nil
}

func bad(file string, why error, hint string) error {
	return fault.New(fault.Invalid, "certificate", file, why).WithHint(hint)
}
