// SPDX-License-Identifier: Apache-2.0

package ca

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"slices"
	"time"

	"github.com/parley-ipc/parley/fault"
)

// Info is what a certificate says.
type Info struct {
	File        string    `json:"file"`
	Identity    string    `json:"identity"` // how Parley names its holder
	Subject     string    `json:"subject"`
	Issuer      string    `json:"issuer"`
	URIs        []string  `json:"uris,omitempty"`
	DNS         []string  `json:"dns,omitempty"`
	IPs         []string  `json:"ips,omitempty"`
	CA          bool      `json:"ca"`
	Client      bool      `json:"client"`
	Server      bool      `json:"server"`
	NotBefore   time.Time `json:"not_before"`
	NotAfter    time.Time `json:"not_after"`
	Serial      string    `json:"serial"`
	Fingerprint string    `json:"sha256"`
}

// Show reads the first certificate in a PEM file. It does not verify it.
func Show(file string) (Info, error) {
	cert, err := readCert(file)
	if err != nil {
		return Info{}, err
	}
	id, err := Identity(cert)
	if err != nil {
		return Info{}, fault.New(fault.Invalid, "read", file, err)
	}
	sum := sha256.Sum256(cert.Raw)
	info := Info{
		File: file, Identity: id.String(), Subject: cert.Subject.String(), Issuer: cert.Issuer.String(),
		DNS: cert.DNSNames, CA: cert.IsCA,
		Client:    slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageClientAuth),
		Server:    slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageServerAuth),
		NotBefore: cert.NotBefore, NotAfter: cert.NotAfter,
		Serial: cert.SerialNumber.Text(16), Fingerprint: hex.EncodeToString(sum[:]),
	}
	for _, u := range cert.URIs {
		info.URIs = append(info.URIs, u.String())
	}
	for _, ip := range cert.IPAddresses {
		info.IPs = append(info.IPs, ip.String())
	}
	return info, nil
}

// Expired reports whether the certificate is past its time at now.
func (i Info) Expired(now time.Time) bool { return now.After(i.NotAfter) }
