// SPDX-License-Identifier: Apache-2.0

// Package fdpass carries open files over a unix socket beside its bytes.
package fdpass
