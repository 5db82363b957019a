// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/filelock"
)

// A reference is a small file in our runtime directory that tells where an
// entry lies whose address is an absolute path, so that List finds it. It
// holds refMagic, the path of the entry, and a newline.
const (
	refSuffix = ".ref"
	refMagic  = "parley-ref 1\n"
	refLock   = ".refs"    // locked by whoever adds or removes a reference
	refTemp   = ".ref.tmp" // renamed to the reference once it is whole
)

func refName(entry string) string {
	sum := sha256.Sum256([]byte(entry))
	return "ref-" + hex.EncodeToString(sum[:8]) + refSuffix
}

// refer adds our reference. It is a convenience of List and no part of owning
// the name: where it cannot be written the endpoint works unlisted.
func (h *holding) refer() {
	if h.place.addr.Path == "" {
		return
	}
	d, err := h.names.dirs.Ensure()
	if err != nil || filepath.Dir(h.place.entry) == d.Path { // then it is found without
		return
	}
	_ = withRefs(d.Path, func() error {
		temp := filepath.Join(d.Path, refTemp)
		err := os.Remove(temp)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			err = os.WriteFile(temp, []byte(refMagic+h.place.entry+"\n"), 0o600)
		}
		if err == nil {
			err = os.Rename(temp, filepath.Join(d.Path, refName(h.place.entry)))
		}
		return err
	})
}

// unrefer removes our reference after the entry has gone.
func (h *holding) unrefer() {
	if h.place.addr.Path == "" {
		return
	}
	if d, err := h.names.dirs.Own(); err == nil {
		_ = dropRef(d.Path, h.place.entry)
	}
}

// dropRef removes the reference to entry unless there is such an entry: of
// somebody who has the name by now.
func dropRef(dir, entry string) error {
	return withRefs(dir, func() error {
		if _, err := os.Lstat(entry); err == nil {
			return nil
		}
		err := os.Remove(filepath.Join(dir, refName(entry)))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

func withRefs(dir string, do func() error) error {
	path := filepath.Join(dir, refLock)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	lock := filelock.New(f)
	if err := (place{entry: path}).waitLock(context.Background(), lock); err != nil {
		return errors.Join(err, f.Close())
	}
	return errors.Join(do(), lock.Unlock(), f.Close())
}

// readRef returns the path that a reference holds.
func readRef(path string) (string, error) {
	f, err := openToRead(path)
	if err != nil {
		return "", err
	}
	b := make([]byte, len(refMagic)+maxText+64)
	n, err := f.ReadAt(b, 0)
	_ = f.Close()
	if n == 0 {
		return "", err
	}
	return decodeRef(string(b[:n]))
}

func decodeRef(s string) (string, error) {
	body, ok1 := strings.CutPrefix(s, refMagic)
	entry, ok2 := strings.CutSuffix(body, "\n")
	if !ok1 || !ok2 || !filepath.IsAbs(entry) || !strings.HasSuffix(entry, entrySuffix) || strings.ContainsAny(entry, "\x00\n") {
		return "", fault.New(fault.Protocol, "read reference", "", errors.New("it is no reference of Parley's"))
	}
	return filepath.Clean(entry), nil
}
