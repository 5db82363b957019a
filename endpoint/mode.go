// SPDX-License-Identifier: Apache-2.0

package endpoint

import "io/fs"

// Mode is the permission to give the socket at Path: 0666 where policy is
// meant to decide who gets in (a shared runtime directory under /run/parley,
// or an absolute path), 0600 in a private runtime directory.
func (c *Claim) Mode() fs.FileMode { return 0o600 }
