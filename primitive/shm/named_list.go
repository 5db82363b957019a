// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"context"
	"strings"
	"time"
	"unicode"
)

// NamedOptions say which named segments to list. The zero value is all of our
// own.
type NamedOptions struct {
	User string // a user's name or uid
	All  bool   // everybody's, as far as we may look
	Kind string // of this kind only
}

// NamedInfo is a named segment as its file shows it. What another user wrote
// there is made printable, and not believed.
type NamedInfo struct {
	Name       string    `json:"name"` // as we can open it: with its user, if that is another
	Kind       string    `json:"kind"`
	Size       int64     `json:"size"`
	UID        uint32    `json:"uid"`        // owner of the file
	PID        int       `json:"pid"`        // of the maker, in its PID namespace: for people, never proof
	Executable string    `json:"executable"` // of the maker, as it says
	Created    time.Time `json:"created"`
	Owned      bool      `json:"owned"` // Named.Owner is held: such as by the writer of a cell
	Used       bool      `json:"used"`  // somebody has it open
	Stale      bool      `json:"stale"` // half-made by somebody dead, or from an earlier boot
	File       string    `json:"file"`
	Err        error     `json:"-"` // why the file cannot be read or understood, if so

	base string // of the file
}

// ListNamed returns the named segments in the order of their files. One that
// cannot be read is a NamedInfo with Err set. It takes no lock, maps nothing
// and disturbs nobody.
func ListNamed(ctx context.Context, o NamedOptions) ([]NamedInfo, error) {
	return namedIn{}.list(ctx, o)
}

// Unlink removes the segment called name: those who have it open keep it, for
// themselves; whoever opens the name from then on makes another. While
// somebody has it open it is refused with fault.InUse, unless force is set.
// Only Kind and Patience of c matter.
func Unlink(ctx context.Context, name string, c NamedConfig, force bool) error {
	return namedIn{}.unlink(ctx, name, c, force)
}

// RemoveStale removes a segment that ListNamed has found stale, if it still
// is; else the error is fault.InUse.
func RemoveStale(ctx context.Context, info NamedInfo) error {
	return namedIn{}.removeStale(ctx, info)
}

// printable keeps another user's text from writing to our terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
