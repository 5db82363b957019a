// SPDX-License-Identifier: Apache-2.0

package busypoll

import "golang.org/x/sys/unix"

const supported = true

// pending says whether bytes wait on the socket. The end of the stream is none.
func pending(fd int) bool {
	n, err := unix.IoctlGetInt(fd, unix.SIOCINQ)
	return err == nil && n > 0
}
