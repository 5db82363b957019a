// SPDX-License-Identifier: Apache-2.0

// Package rundir finds the runtime directory of a uid, where its sockets and
// registry entries lie, and refuses one that somebody else could have laid.
package rundir
