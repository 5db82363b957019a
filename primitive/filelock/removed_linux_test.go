// SPDX-License-Identifier: Apache-2.0

package filelock

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/parley-ipc/parley/fault"
)

// TestFileRemovedUnderAWaiter: the lock of a file that has no name, or whose
// name another file has, is no lock.
func TestFileRemovedUnderAWaiter(t *testing.T) {
	for what, replace := range map[string]func(path string) error{
		"removed": os.Remove,
		"replaced": func(path string) error {
			return errors.Join(os.WriteFile(path+"2", nil, 0o600), os.Rename(path+"2", path))
		},
	} {
		path := filepath.Join(t.TempDir(), "lock")
		tries := 0
		f, err := acquire(path, FileConfig{Note: "second"}, func(l *Lock) error {
			if tries++; tries == 1 {
				if err := replace(path); err != nil {
					return err
				}
			}
			return l.TryLock(Exclusive)
		})
		if err != nil {
			t.Fatal(err)
		}
		if h, held, err := HolderOf(path); err != nil || !held || h.Note != "second" || tries != 2 {
			t.Errorf("%s: after %d tries %+v has it: %v, %v", what, tries, h, held, err)
		}
		if err := f.Release(); err != nil {
			t.Error(err)
		}
	}
}

func TestErrorsSayWhy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for what, err := range map[string]error{
		"exclusive, read-only":   New(f).TryLock(Exclusive),
		"before the beginning":   Region(f, -1, 1).TryLock(Shared),
		"negative length":        Region(f, 10, -1).TryLock(Shared),
		"behind the last offset": Region(f, math.MaxInt64, 2).TryLock(Shared),
	} {
		var e *fault.Error
		if !errors.As(err, &e) || e.Kind != fault.Invalid || e.Hint == "" {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := New(f).TryLock(Shared); err != nil {
		t.Errorf("shared, read-only: %v", err)
	}
	if err := Region(f, math.MaxInt64, 1).TryLock(Shared); err != nil {
		t.Errorf("the last offset: %v", err)
	}
}
