// SPDX-License-Identifier: Apache-2.0

//go:build unix

package relay

import "golang.org/x/sys/unix"

func pipeFD(fd uintptr) bool {
	var st unix.Stat_t
	return unix.Fstat(int(fd), &st) == nil && uint32(st.Mode)&unix.S_IFMT == unix.S_IFIFO //nolint:unconvert // its type differs by system
}
