// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Access is who may read and write a named segment's file, beside its owner
// and root. Its zero value is nobody.
type Access struct {
	Everybody bool     `json:"everybody,omitempty"`
	UIDs      []uint32 `json:"uids,omitempty"`
	GIDs      []uint32 `json:"gids,omitempty"`     // whoever is a member of one
	NotUIDs   []uint32 `json:"not_uids,omitempty"` // whatever groups they are in
}

// nobody says that it lets nobody in.
func (a *Access) nobody() bool { return !a.Everybody && len(a.UIDs)+len(a.GIDs) == 0 }

// An access list as the kernel has it, of POSIX.1e draft 17: a version, then
// entries of tag u16, permissions u16, id u32, in the order of tags and ids, all
// little-endian.
const (
	aclVersion = 2
	aclEntry   = 8

	aclOwner  = 0x01
	aclUser   = 0x02
	aclGroup  = 0x04 // the file's own
	aclGroups = 0x08
	aclMask   = 0x10
	aclOther  = 0x20

	aclNone      = 0
	aclReadWrite = 6
	aclNoID      = math.MaxUint32
)

// acl is the access list that says it. It always has a mask, so that the
// kernel keeps it as a list even where a mode could say the same: by that we
// know what was given by Access.
func (a *Access) acl() []byte {
	b := binary.LittleEndian.AppendUint32(nil, aclVersion)
	add := func(tag, perm uint16, id uint32) {
		b = binary.LittleEndian.AppendUint16(b, tag)
		b = binary.LittleEndian.AppendUint16(b, perm)
		b = binary.LittleEndian.AppendUint32(b, id)
	}
	rest := uint16(aclNone)
	if a.Everybody {
		rest = aclReadWrite
	}
	add(aclOwner, aclReadWrite, aclNoID)
	for _, uid := range merged(a.UIDs, a.NotUIDs) {
		perm := uint16(aclReadWrite)
		if slices.Contains(a.NotUIDs, uid) {
			perm = aclNone
		}
		add(aclUser, perm, uid)
	}
	add(aclGroup, rest, aclNoID)
	for _, gid := range merged(a.GIDs) {
		add(aclGroups, aclReadWrite, gid)
	}
	add(aclMask, aclReadWrite, aclNoID)
	add(aclOther, rest, aclNoID)
	return b
}

func merged(lists ...[]uint32) []uint32 {
	all := slices.Concat(lists...)
	slices.Sort(all)
	return slices.Compact(all)
}

var errACL = errors.New("this is no access list that we know")

// accessOf reads an access list that anybody may have written. Only who may
// both read and write counts as let in.
func accessOf(b []byte) (a Access, err error) {
	if len(b) < 4 || (len(b)-4)%aclEntry != 0 || binary.LittleEndian.Uint32(b) != aclVersion {
		return a, errACL
	}
	for b = b[4:]; len(b) > 0; b = b[aclEntry:] {
		tag, perm := binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:])
		id, in := binary.LittleEndian.Uint32(b[4:]), perm&aclReadWrite == aclReadWrite
		switch {
		case tag == aclUser && in:
			a.UIDs = append(a.UIDs, id)
		case tag == aclUser:
			a.NotUIDs = append(a.NotUIDs, id)
		case tag == aclGroups && in:
			a.GIDs = append(a.GIDs, id)
		case tag == aclMask && !in:
			return Access{}, nil // it takes everything back
		case tag == aclOther:
			a.Everybody = in
		}
	}
	return a, nil
}

// String says it to people: "uid:1000, gid:44, not uid:1001".
func (a Access) String() string {
	text := ""
	list := func(format string, ids []uint32) {
		for _, id := range ids {
			if text != "" {
				text += ", "
			}
			text += fmt.Sprintf(format, id)
		}
	}
	if a.Everybody {
		text = "everybody"
	}
	list("uid:%d", a.UIDs)
	list("gid:%d", a.GIDs)
	if text == "" {
		return "nobody"
	}
	list("not uid:%d", a.NotUIDs)
	return text
}
