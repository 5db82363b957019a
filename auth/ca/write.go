// SPDX-License-Identifier: Apache-2.0

package ca

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/parley-ipc/parley/fault"
)

const (
	keyMode  = 0o600
	certMode = 0o644
)

// writePair writes a key, then its certificate. Without force neither may
// exist, and if the certificate cannot be written the key is taken back. With
// force a reader may see the new key with the old certificate for a moment;
// who reloads waits until the two match.
func writePair(certFile, keyFile string, certPEM, keyPEM []byte, force bool) error {
	if !force {
		for _, name := range []string{certFile, keyFile} {
			if _, err := os.Lstat(name); err == nil {
				return exists(name)
			}
		}
	}
	if err := write(keyFile, keyPEM, keyMode, force); err != nil {
		return err
	}
	if err := write(certFile, certPEM, certMode, force); err != nil {
		if !force {
			err = errors.Join(err, os.Remove(keyFile))
		}
		return err
	}
	return nil
}

func exists(name string) error {
	return fault.New(fault.InUse, "write", name, fs.ErrExist).WithHint("choose another name, or say --force to replace it")
}

// write makes the whole file appear at once, durably: a temporary one beside
// it takes the name by rename, or, so as not to replace anything, by link.
func write(name string, content []byte, mode os.FileMode, force bool) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".tmp-*") // O_EXCL, 0600
	if err != nil {
		return fault.Wrap("write", name, err)
	}
	defer func() {
		if rmErr := os.Remove(f.Name()); !errors.Is(rmErr, fs.ErrNotExist) {
			err = errors.Join(err, rmErr)
		}
	}()
	_, err = f.Write(content)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fault.Wrap("write", name, err)
	}
	if force {
		return fault.Wrap("write", name, os.Rename(f.Name(), name))
	}
	if err = os.Link(f.Name(), name); errors.Is(err, fs.ErrExist) {
		return exists(name)
	}
	return fault.Wrap("write", name, err)
}
