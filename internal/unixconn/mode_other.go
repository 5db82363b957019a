// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package unixconn

import "os"

func setMode(path string, mode os.FileMode) error { return os.Chmod(path, mode) }
