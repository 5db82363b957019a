// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
)

const aclName = "system.posix_acl_access"

// admit makes the file's access list what Access says. An Access that is nobody
// takes back what another gave, and leaves a Mode alone.
func (o *opening) admit(n *Named) error {
	if o.Access == nil {
		return nil
	}
	had, err := getACL(n.fd())
	if err != nil {
		return err
	}
	want := o.Access.acl()
	switch {
	case o.Access.nobody() && had == nil, bytes.Equal(had, want):
		return nil
	case o.Access.nobody():
		// The mode first: with a list, it is what the list is bounded by.
		if err := n.file.Chmod(0o600); err != nil {
			return err
		}
		return noted("removexattr", unix.Fremovexattr(n.fd(), aclName))
	}
	return noted("setxattr", unix.Fsetxattr(n.fd(), aclName, want, 0))
}

func noted(call string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EOPNOTSUPP):
		return fault.New(fault.Unsupported, "let others in", "", errors.New("the file system of the runtime directory keeps no access lists")).
			WithHint("use one that does, such as tmpfs or ext4, or a Mode with a group of its own")
	}
	return fmt.Errorf("%s %s: %w", call, aclName, err)
}

// getACL returns nil where there is none.
func getACL(fd int) ([]byte, error) {
	for size := 256; ; size *= 4 {
		b := make([]byte, size)
		n, err := unix.Fgetxattr(fd, aclName, b)
		switch {
		case errors.Is(err, unix.ENODATA), errors.Is(err, unix.EOPNOTSUPP):
			return nil, nil
		case errors.Is(err, unix.ERANGE) && size < 1<<16:
			continue
		case err != nil:
			return nil, fmt.Errorf("getxattr %s: %w", aclName, err)
		}
		return b[:n], nil
	}
}

// access is who else may read and write the file.
func (n *Named) access() (Access, error) {
	b, err := getACL(n.fd())
	if err != nil {
		return Access{}, err
	}
	if b != nil {
		return accessOf(b)
	}
	st, err := n.file.Stat()
	if err != nil {
		return Access{}, err
	}
	a := Access{Everybody: st.Mode()&0o006 == 0o006}
	if st.Mode()&0o060 == 0o060 {
		var sys unix.Stat_t
		if err := unix.Fstat(n.fd(), &sys); err != nil {
			return Access{}, err
		}
		a.GIDs = []uint32{sys.Gid}
	}
	return a, nil
}
