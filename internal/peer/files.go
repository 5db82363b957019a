// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
)

// PassFiles sends the peer an open file, of which no name is left, and gets
// back another one into which the peer has copied it. Where conn carries no
// files it is fault.Unsupported.
func PassFiles(conn transport.Conn) error {
	c, err := passer(conn)
	if err != nil {
		return err
	}
	text := fmt.Appendf(nil, "written by process %d", os.Getpid())
	file, err := nameless(text)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	if err := ask(conn, passing); err != nil {
		return err
	}
	if _, err := c.WriteFiles([]byte{byte(passing)}, []*os.File{file}); err != nil {
		return err
	}
	back, err := readFile(c)
	if err != nil {
		return err
	}
	if !bytes.Equal(back, text) {
		return fault.New(fault.Protocol, "pass files", "", fmt.Errorf("the file holds %q instead of %q", back, text))
	}
	return nil
}

func answerFile(conn transport.Conn) error {
	c, err := passer(conn)
	if err != nil {
		return err
	}
	text, err := readFile(c)
	if err != nil {
		return err
	}
	file, err := nameless(text)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	_, err = c.WriteFiles([]byte{byte(passing)}, []*os.File{file})
	return err
}

func passer(conn transport.Conn) (transport.FilePasser, error) {
	c, ok := conn.(transport.FilePasser)
	if !ok {
		return nil, fault.New(fault.Unsupported, "pass files", "", errors.New("this transport carries bytes only"))
	}
	return c, nil
}

// nameless makes an open file that holds text and has no name (where a file
// in use can lose it).
func nameless(text []byte) (*os.File, error) {
	f, err := os.CreateTemp("", "parley-file-*")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(f.Name())
	if _, err := f.Write(text); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// readFile receives one file and reads it from its beginning.
func readFile(c transport.FilePasser) ([]byte, error) {
	var b [1]byte
	n, files, err := c.ReadFiles(b[:])
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	if err != nil {
		return nil, err
	}
	if n != 1 || len(files) != 1 {
		return nil, fault.New(fault.Protocol, "pass files", "", fmt.Errorf("%d bytes with %d files instead of one with one", n, len(files)))
	}
	return io.ReadAll(io.NewSectionReader(files[0], 0, 1<<20))
}
