// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/parley-ipc/parley/auth"
)

// everyone is a compiled who list.
type everyone struct {
	all       bool // "*"
	anonymous bool
	uids      []uint32 // of uid: and user:
	gids      []uint32 // of gid: and group:
	names     []name
}

// name is a glob over identities that are known by a name.
type name struct {
	scheme string // with its colon, and for spiffe the slashes
	glob   glob
}

// nameSchemes are the name spaces of identities, with what separates their
// segments.
var nameSchemes = []struct {
	scheme string
	sep    rune
}{{"spiffe://", '/'}, {"dns:", '.'}, {"cn:", '/'}, {"token:", '/'}}

const whoForms = `write uid:N, user:NAME, gid:N, group:NAME, spiffe://GLOB, dns:GLOB, cn:GLOB, token:GLOB, anonymous or "*"`

// add compiles one entry of a who list.
func (e *everyone) add(s string, lookup Lookup) error {
	switch s {
	case "*":
		e.all = true
		return nil
	case "anonymous":
		e.anonymous = true
		return nil
	}
	scheme, rest, _ := strings.Cut(s, ":")
	switch scheme {
	case "uid":
		return addID(&e.uids, rest, parseID)
	case "user":
		return addID(&e.uids, rest, lookup.UserID)
	case "gid":
		return addID(&e.gids, rest, parseID)
	case "group":
		return addID(&e.gids, rest, lookup.GroupID)
	}
	return e.addName(s)
}

func addID(ids *[]uint32, s string, resolve func(string) (uint32, error)) error {
	if s == "" {
		return errors.New("nothing follows the colon")
	}
	if strings.ContainsAny(s, "*?") {
		return fmt.Errorf("%q: users and groups take no wildcards", s)
	}
	id, err := resolve(s)
	if err == nil {
		*ids = append(*ids, id)
	}
	return err
}

func (e *everyone) addName(s string) error {
	for _, row := range nameSchemes {
		rest, ok := strings.CutPrefix(s, row.scheme)
		if !ok {
			continue
		}
		if row.scheme == "dns:" {
			rest = strings.ToLower(rest)
		}
		g, err := compileGlob(rest, row.sep)
		if err == nil {
			e.names = append(e.names, name{row.scheme, g})
		}
		return err
	}
	return fmt.Errorf("%q names nobody", s)
}

// allows reads the list narrowly: an identity is what it is known by. A name
// from a certificate or a token stands alone, whatever uid stands beside it.
// The identity is not anonymous.
func (e *everyone) allows(id *auth.Identity) bool {
	switch {
	case e.all:
		return true
	case id.Name != "":
		return e.hasName(id.Name)
	}
	return e.hasUID(id) || groupsKnown(id) && e.hasGroup(id)
}

// denies reads the list widely: whatever is known of the identity counts. The
// identity is not anonymous.
func (e *everyone) denies(id *auth.Identity) bool {
	return e.all || e.hasUID(id) || e.hasGroup(id) || e.hasName(id.Name)
}

func (e *everyone) hasUID(id *auth.Identity) bool {
	return id.HasUID && slices.Contains(e.uids, id.UID)
}

func (e *everyone) hasGroup(id *auth.Identity) bool {
	if !id.HasUID || len(e.gids) == 0 {
		return false
	}
	if slices.Contains(e.gids, id.GID) {
		return true
	}
	return slices.ContainsFunc(id.Groups, func(gid uint32) bool { return slices.Contains(e.gids, gid) })
}

// groupsKnown says whether the GID is the peer's own. A FIFO's group is that
// of the file, and a socket's owner is told without one.
func groupsKnown(id *auth.Identity) bool {
	return id.Method == auth.Kernel || id.Method == auth.Spawned
}

func (e *everyone) hasName(s string) bool {
	for i := range e.names {
		n := &e.names[i]
		rest, ok := strings.CutPrefix(s, n.scheme)
		if !ok {
			continue
		}
		if n.scheme == "dns:" {
			rest = strings.ToLower(rest)
		}
		if n.glob.match(rest) {
			return true
		}
	}
	return false
}
