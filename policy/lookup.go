// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"fmt"
	"math"
	"os/user"
	"strconv"
	"strings"

	"github.com/parley-ipc/parley/auth"
)

// Lookup resolves names of users and groups to numbers when rules are loaded.
// Its errors become mistakes, so they say what a person can understand.
type Lookup interface {
	UserID(name string) (uint32, error)
	GroupID(name string) (uint32, error)
}

// System is the Lookup that asks the operating system.
type System struct{}

var _ Lookup = System{}

// UserID implements Lookup.
func (System) UserID(name string) (uint32, error) {
	u, err := user.Lookup(name)
	if unknown := user.UnknownUserError(""); errors.As(err, &unknown) {
		return 0, fmt.Errorf("there is no user %q on this machine", name)
	}
	if err != nil {
		return 0, fmt.Errorf("looking up the user %q: %w", name, err)
	}
	return numeric(u.Uid)
}

// GroupID implements Lookup.
func (System) GroupID(name string) (uint32, error) {
	g, err := user.LookupGroup(name)
	if unknown := user.UnknownGroupError(""); errors.As(err, &unknown) {
		return 0, fmt.Errorf("there is no group %q on this machine", name)
	}
	if err != nil {
		return 0, fmt.Errorf("looking up the group %q: %w", name, err)
	}
	return numeric(g.Gid)
}

func numeric(s string) (uint32, error) {
	n, err := parseID(s)
	if err != nil {
		return 0, fmt.Errorf("this system's id %q is not a number", s)
	}
	return n, nil
}

// parseID reads a uid or gid. The highest number is no id: the kernel uses it
// for "none".
func parseID(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == noID || len(s) > 1 && s[0] == '0' {
		return 0, fmt.Errorf("%q is not a number between 0 and %d", s, uint32(noID-1))
	}
	return uint32(n), nil
}

const noID = math.MaxUint32

// Subject makes the identity that a local process of a user would have, for
// asking a policy what it would say: "user:NAME" or "uid:N", with the groups
// that the system knows, and everything that auth.Parse reads.
func Subject(s string) (auth.Identity, error) {
	name, ok := strings.CutPrefix(s, "user:")
	if ok {
		uid, err := System{}.UserID(name)
		if err != nil {
			return auth.Identity{}, err
		}
		s = "uid:" + strconv.FormatUint(uint64(uid), 10)
	}
	id, err := auth.Parse(s)
	if err == nil && id.HasUID {
		id.GID, id.Groups = groupsOf(id.UID)
	}
	return id, err
}

// groupsOf returns the primary and the supplementary groups of a uid; a uid
// that the system does not know has none.
func groupsOf(uid uint32) (primary uint32, rest []uint32) {
	u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
	if err != nil {
		return noID, nil
	}
	if primary, err = numeric(u.Gid); err != nil {
		primary = noID
	}
	all, _ := u.GroupIds()
	for _, s := range all {
		if gid, err := numeric(s); err == nil && gid != primary {
			rest = append(rest, gid)
		}
	}
	return primary, rest
}
