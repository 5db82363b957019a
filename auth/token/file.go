// SPDX-License-Identifier: Apache-2.0

package token

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/filelock"
)

// load reads the file at path, which must not be a symlink.
func load(path string) (os.FileInfo, []entry, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|noFollow, 0)
	if err != nil {
		return nil, nil, fault.Wrap("read", path, err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, fault.Wrap("read", path, err)
	}
	if err := checkFile(info); err != nil {
		return nil, nil, fault.New(fault.Denied, "read", path, err).WithHint("the file must be yours and have mode 0600, or somebody else makes your tokens")
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, nil, fault.Wrap("read", path, err)
	}
	all, err := decode(text)
	if err != nil {
		return nil, nil, fault.New(fault.Invalid, "read", path, err).WithHint("correct or remove that line: until then no token is accepted")
	}
	return info, all, nil
}

// change replaces the file's content by what edit makes of it, alone among
// all processes. The lock is a file of its own beside, since the file itself
// is replaced.
func (s *Store) change(ctx context.Context, edit func([]entry) ([]entry, error)) (err error) {
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return fault.Wrap("write", s.path, err)
	}
	unlock, err := lock(ctx, s.path+".lock")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	_, all, err := load(s.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if all, err = edit(all); err != nil {
		return err
	}
	text, err := encode(all)
	if err != nil {
		return fault.Wrap("write", s.path, err)
	}
	return fault.Wrap("write", s.path, replace(s.path, text))
}

// replace writes a file beside path and renames it over path, durably.
func replace(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".token-*") // O_EXCL, 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(filepath.Dir(path))
}

const (
	lockPoll = 5 * time.Millisecond
	lockTime = 10 * time.Second // writers hold it for milliseconds
)

// lock waits for the lock at path until ctx ends.
func lock(ctx context.Context, path string) (unlock func() error, err error) {
	ctx, cancel := context.WithTimeout(ctx, lockTime)
	defer cancel()
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|noFollow, 0o600)
	if err != nil {
		return nil, fault.Wrap("lock", path, err)
	}
	l := filelock.New(f)
	poll := time.NewTicker(lockPoll)
	defer poll.Stop()
	for {
		err := l.TryLock(filelock.Exclusive)
		if err == nil {
			return func() error { return errors.Join(l.Unlock(), f.Close()) }, nil
		}
		if !errors.Is(err, fault.InUse) {
			return nil, errors.Join(err, f.Close())
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			_ = f.Close()
			return nil, fault.Wrap("lock", path, context.Cause(ctx))
		}
	}
}
