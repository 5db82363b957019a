// SPDX-License-Identifier: Apache-2.0

// Package ca is a private certificate authority in a directory: it signs the
// certificates that tls:// endpoints show each other.
//
// The authority is DIR/ca.crt and DIR/ca.key; a leaf is NAME.crt and NAME.key.
// Keys are ECDSA P-256 in PKCS #8, mode 0600; certificates are public, mode
// 0644. There is no revocation: leaves are short-lived, and listeners and
// diallers read new files without a restart.
package ca
