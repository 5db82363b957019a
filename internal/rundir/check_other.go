// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package rundir

import (
	"os"

	"github.com/parley-ipc/parley/fault"
)

func ownUID() uint32 { return 0 }

// Check knows no owners here: the temporary directory is the user's own.
func (d Dir) Check() error {
	_, err := os.Stat(d.Path)
	return fault.Wrap("runtime directory", d.Path, err)
}
