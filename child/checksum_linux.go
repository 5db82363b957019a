// SPDX-License-Identifier: Apache-2.0

package child

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"

	"github.com/parley-ipc/parley/fault"
)

// verified opens the program and returns it if it hashes to sum. Whoever may
// write to the file itself could still change it afterwards: keep that right
// from those who must not choose what runs.
func verified(path string, sum []byte) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		_ = f.Close()
		return nil, err
	}
	if got := hash.Sum(nil); !bytes.Equal(got, sum) {
		_ = f.Close()
		return nil, fault.New(fault.Denied, "start child", path, fmt.Errorf("its SHA-256 is %x, and %x was asked for", got, sum)).
			WithHint("the file is not the one that was released; do not run it")
	}
	return f, nil
}
