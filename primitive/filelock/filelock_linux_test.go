// SPDX-License-Identifier: Apache-2.0

package filelock

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRegions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f, g := open(t, path), open(t, path)
	try(t, Region(f, 0, 1), Exclusive, true)
	try(t, Region(g, 1, 1), Exclusive, true)
	try(t, Region(g, 0, 1), Exclusive, false)
	try(t, Region(g, 0, 0), Exclusive, false)
}

func TestHeldElsewhere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	holder := New(open(t, path))
	reader, err := os.Open(path) // for reading only
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Close() }()
	for _, mode := range []Mode{Exclusive, Shared} {
		try(t, holder, mode, true)
		for l, want := range map[*Lock]bool{New(reader): true, holder: false, Region(reader, 7, 1): true} {
			if got, err := l.HeldElsewhere(); err != nil || got != want {
				t.Errorf("mode %d: HeldElsewhere of %p = %v, %v; want %v", mode, l, got, err, want)
			}
		}
		if err := holder.Unlock(); err != nil {
			t.Fatal(err)
		}
		if got, err := New(reader).HeldElsewhere(); err != nil || got {
			t.Errorf("after Unlock: %v, %v", got, err)
		}
	}
}

// TestOtherDescriptorsDropNothing is what POSIX locks get wrong.
func TestOtherDescriptorsDropNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	l := New(open(t, path))
	try(t, l, Exclusive, true)
	_ = open(t, path).Close()
	if got, err := New(open(t, path)).HeldElsewhere(); err != nil || !got {
		t.Errorf("closing another descriptor of the file dropped the lock: %v, %v", got, err)
	}
}
