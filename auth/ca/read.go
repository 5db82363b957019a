// SPDX-License-Identifier: Apache-2.0

package ca

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/parley-ipc/parley/fault"
)

// maxFile is far more than a certificate with its chain or a key.
const maxFile = 1 << 20

func readCert(name string) (*x509.Certificate, error) {
	der, err := readPEM(name, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fault.New(fault.Invalid, "read", name, err)
	}
	return cert, nil
}

// readPEM returns the first block of the type kind.
func readPEM(name, kind string) ([]byte, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.NotFound, "read", name, err).WithHint("make an authority with `parley ca init`, a certificate with `parley ca issue`")
	}
	if err != nil {
		return nil, fault.Wrap("read", name, err)
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fault.Wrap("read", name, err)
	}
	if len(text) > maxFile {
		return nil, fault.New(fault.TooLarge, "read", name, fmt.Errorf("it is longer than %d bytes", maxFile))
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == kind {
			return block.Bytes, nil
		}
	}
	return nil, fault.New(fault.Invalid, "read", name, fmt.Errorf("it holds no PEM block %q", kind))
}
