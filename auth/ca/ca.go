// SPDX-License-Identifier: Apache-2.0

package ca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/parley-ipc/parley/fault"
)

// Names of the authority's own files in its directory.
const (
	CertName = "ca.crt"
	KeyName  = "ca.key"
)

// Defaults.
const (
	DefaultValidity     = 10 * 365 * 24 * time.Hour // of an authority
	DefaultLeafValidity = 90 * 24 * time.Hour

	backdate = 5 * time.Minute // for clocks that differ a little
)

// Init makes an authority named name in dir, which is made (0700) if need be.
// A validity of 0 is DefaultValidity. An authority that is there already is
// fault.InUse: it is never replaced.
func Init(dir, name string, validity time.Duration) error {
	if validity == 0 {
		validity = DefaultValidity
	}
	if !plain(name) || validity < 0 {
		return fault.New(fault.Invalid, "ca init", dir, fmt.Errorf("the name %q or the validity %v is not usable", name, validity))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fault.Wrap("ca init", dir, err)
	}
	template, err := newTemplate(pkix.Name{CommonName: name}, time.Time{}, validity)
	if err != nil {
		return fault.Wrap("ca init", dir, err)
	}
	template.IsCA, template.BasicConstraintsValid, template.MaxPathLenZero = true, true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	key, keyPEM, err := newKey()
	if err != nil {
		return fault.Wrap("ca init", dir, err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return fault.Wrap("ca init", dir, err)
	}
	return writePair(filepath.Join(dir, CertName), filepath.Join(dir, KeyName), certPEM(der), keyPEM, false)
}

// newTemplate starts a certificate that is valid from notBefore on, the zero
// time meaning now.
func newTemplate(subject pkix.Name, notBefore time.Time, validity time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	start, end := notBefore, notBefore.Add(validity)
	if notBefore.IsZero() {
		now := time.Now()
		start, end = now.Add(-backdate), now.Add(validity)
	}
	return &x509.Certificate{SerialNumber: serial.Add(serial, big.NewInt(1)), Subject: subject, NotBefore: start, NotAfter: end}, nil
}

func newKey() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

func certPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// load reads the authority in dir.
func load(dir string) (*x509.Certificate, any, error) {
	cert, err := readCert(filepath.Join(dir, CertName))
	if err != nil {
		return nil, nil, err
	}
	name := filepath.Join(dir, KeyName)
	block, err := readPEM(name, "PRIVATE KEY")
	if err != nil {
		return nil, nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(block)
	if err != nil {
		return nil, nil, fault.New(fault.Invalid, "read", name, err)
	}
	if !cert.IsCA {
		return nil, nil, fault.New(fault.Invalid, "read", filepath.Join(dir, CertName), errors.New("it is no authority's certificate"))
	}
	return cert, key, nil
}
