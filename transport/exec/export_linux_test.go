// SPDX-License-Identifier: Apache-2.0

package exec

import (
	"os"

	"github.com/parley-ipc/parley/transport"
)

// StdioOver is Stdio over two descriptors that are not the process's own.
func StdioOver(stdin, stdout *os.File) (transport.Conn, error) {
	return newStdio(int(stdin.Fd()), int(stdout.Fd()), nil)
}
