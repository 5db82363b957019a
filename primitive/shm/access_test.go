// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"fmt"
	"testing"
)

// TestAccessList pins what is told to the kernel.
func TestAccessList(t *testing.T) {
	a := Access{UIDs: []uint32{1000, 7}, GIDs: []uint32{44}, NotUIDs: []uint32{12}}
	const want = "02000000" + // version
		"01000600ffffffff" + // the owner
		"0200060007000000" + "020000000c000000" + "02000600e8030000" + // users, in order
		"04000000ffffffff" + "080006002c000000" + // the file's group, then another
		"10000600ffffffff" + "20000000ffffffff" // the mask, the others
	if got := fmt.Sprintf("%x", a.acl()); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	for _, a := range []Access{{}, {Everybody: true}, {UIDs: []uint32{7, 9}}, {Everybody: true, GIDs: []uint32{4}, NotUIDs: []uint32{8}}} {
		back, err := accessOf(a.acl())
		if err != nil || fmt.Sprint(back) != fmt.Sprint(a) {
			t.Errorf("%v came back as %v, %v", a, back, err)
		}
	}
	for access, want := range map[string]Access{
		"nobody": {}, "everybody, not uid:8": {Everybody: true, NotUIDs: []uint32{8}}, "uid:7, gid:4": {UIDs: []uint32{7}, GIDs: []uint32{4}},
	} {
		if want.String() != access {
			t.Errorf("%q, want %q", want.String(), access)
		}
	}
}

// FuzzAccessList: whatever the kernel hands us is read or refused.
func FuzzAccessList(f *testing.F) {
	a := Access{Everybody: true, UIDs: []uint32{7}}
	f.Add(a.acl())
	f.Add([]byte{2, 0, 0, 0, 0x10, 0, 0, 0, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := accessOf(b); err == nil && a.String() == "" {
			t.Error("nothing is said")
		}
	})
}
