// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package unix

import (
	"net"

	"github.com/parley-ipc/parley/fault"
)

func peek(*net.UnixConn, []byte) (int, error) {
	return 0, fault.New(fault.Unsupported, "peek", "", nil)
}
