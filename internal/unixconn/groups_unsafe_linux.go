// SPDX-License-Identifier: Apache-2.0

package unixconn

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// peerGroups reads SO_PEERGROUPS, for which x/sys has no wrapper. A peer in
// more groups than fit the first try is asked once more with room for all.
// Nothing is returned where the kernel does not say.
func peerGroups(fd int) []uint32 {
	for _, room := range []uint32{64, 65536} {
		gids := make([]uint32, room)
		size := 4 * room
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&gids[0])), uintptr(unsafe.Pointer(&size)), 0)
		if errno == 0 {
			return gids[:size/4]
		}
		if errno != unix.ERANGE {
			return nil
		}
	}
	return nil
}
