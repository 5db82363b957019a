// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"context"

	"github.com/parley-ipc/parley/internal/rundir"
)

// In finds names below a directory that stands for /run/parley, or, if that is
// empty, where programs do.
func In(shared string) namedIn {
	if shared == "" {
		return namedIn{}
	}
	return namedIn{rundir.Locator{Shared: shared, Getenv: func(string) string { return "" }}}
}

func (in namedIn) Open(ctx context.Context, name string, c NamedConfig) (*Named, error) {
	return in.open(ctx, name, c)
}

func (in namedIn) List(ctx context.Context, o NamedOptions) ([]NamedInfo, error) {
	return in.list(ctx, o)
}

func (in namedIn) RemoveStale(ctx context.Context, i NamedInfo) error { return in.removeStale(ctx, i) }

// Header returns a header as a maker of another boot wrote it.
func OldHeader(kind string, size int) []byte {
	h := header{size: uint64(size), kind: kind, boot: [16]byte{1}}
	return append([]byte(headerMagic), h.encode()[8:]...)
}

// Decode says whether b is the header of a file of length bytes.
func Decode(b []byte, length int64) error { _, err := decodeHeader(b, length); return err }
