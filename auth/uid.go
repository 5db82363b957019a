// SPDX-License-Identifier: Apache-2.0

package auth

import "os"

// FromUID makes an Identity of a uid and gid that the kernel named. A uid
// that has no meaning in our user namespace makes an Unmapped one.
func FromUID(method Method, uid, gid uint32) Identity {
	if !Mapped(uid) {
		return Identity{Method: method, Unmapped: true}
	}
	return Identity{Method: method, HasUID: true, UID: uid, GID: gid}
}

// selfName is our own process where there are no uids.
const selfName = "self"

// Self is the identity of our own process.
func Self() Identity {
	uid := os.Geteuid()
	if uid < 0 { // not a system with uids
		return Identity{Method: Kernel, Name: selfName, PID: os.Getpid()}
	}
	return Identity{Method: Kernel, HasUID: true, UID: uint32(uid), GID: uint32(os.Getegid()), PID: os.Getpid()}
}
