// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package transfer

import "os"

// placeNew names from to, which must not exist.
func placeNew(root *os.Root, from, to string) error { return linkNew(root, from, to) }
