// SPDX-License-Identifier: Apache-2.0

package fdpass

import (
	"errors"
	"os"

	"github.com/parley-ipc/parley/fault"
)

// Max is the largest number of files in one Write. The kernel's own limit is
// 253 a message; a smaller one keeps a hostile sender cheap.
const Max = 64

var errEmpty = errors.New("files need at least one byte to travel with")

// check is the part of Write that no system does differently.
func check(p []byte, files []*os.File) error {
	switch {
	case len(files) > 0 && len(p) == 0:
		return fault.New(fault.Invalid, "pass files", "", errEmpty)
	case len(files) > Max:
		return fault.New(fault.TooLarge, "pass files", "", errors.New("more than 64 files at once")).WithHint("send them in several groups")
	}
	return nil
}
