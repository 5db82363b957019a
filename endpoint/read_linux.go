// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"errors"
	"io"
	"os"
)

// readEntry reads with pread: a file that shrinks meanwhile is short, where a
// mapping of it would be fatal.
func readEntry(f *os.File) (*entry, error) {
	b := make([]byte, entrySize)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return decodeEntry(b[:n])
}
