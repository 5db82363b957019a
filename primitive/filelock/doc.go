// SPDX-License-Identifier: Apache-2.0

// Package filelock locks files between processes, in a way that the holder's
// death undoes.
//
// On Linux the locks are open-file-description locks: they belong to the open
// file and not to the process, so that closing another descriptor of the same
// file drops nothing, and they hold across PID, mount and user namespaces. A
// held lock is proof that its holder lives.
package filelock
