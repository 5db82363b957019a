// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package inproc

import (
	"errors"
	"os"

	"github.com/parley-ipc/parley/fault"
)

func duplicate(files []*os.File) ([]*os.File, error) {
	if len(files) == 0 {
		return nil, nil
	}
	return nil, fault.New(fault.Unsupported, "pass files", "", errors.New("this system cannot duplicate descriptors"))
}
