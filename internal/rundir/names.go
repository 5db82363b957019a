// SPDX-License-Identifier: Apache-2.0

package rundir

import (
	"errors"
	"fmt"
	"os/user"
	"strconv"
	"strings"

	"github.com/parley-ipc/parley/fault"
)

// CheckName allows what is one safe component of a path on every system.
func CheckName(name string) error {
	if name == "" {
		return errors.New("the name is empty")
	}
	if name[0] == '.' || name[0] == '-' {
		return fmt.Errorf("the name %q starts with %q: start with a letter or a digit", name, name[:1])
	}
	for _, r := range name {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", r) {
			return fmt.Errorf("the name %q contains %q: use letters, digits, '.', '_' and '-', or an absolute path", name, r)
		}
	}
	return nil
}

// LookupUID reads a uid or the name of a user.
func LookupUID(name string) (uint32, error) {
	if n, err := strconv.ParseUint(name, 10, 32); err == nil {
		return uint32(n), nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return 0, fault.New(fault.NotFound, "look up user", name, err).WithHint("write a user's name or a numeric uid before the @")
	}
	n, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return 0, fault.New(fault.Unsupported, "look up user", name, fmt.Errorf("its id %q is no number", u.Uid))
	}
	return uint32(n), nil
}
