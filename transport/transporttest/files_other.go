// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package transporttest

import (
	"os"
	"testing"
)

var kinds map[string]func(t testing.TB) (pass, stay *os.File, check func(got, stay *os.File) error)

func closedOnExec(testing.TB, *os.File) bool { return true }

var _ = through // used where kinds are made
