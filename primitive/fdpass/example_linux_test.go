// SPDX-License-Identifier: Apache-2.0

package fdpass_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"

	"github.com/parley-ipc/parley/primitive/fdpass"
)

func Example() {
	dir, _ := os.MkdirTemp("", "fdpass")
	defer os.RemoveAll(dir)
	ln, _ := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unix"})
	defer ln.Close()
	sender, _ := net.DialUnix("unix", nil, ln.Addr().(*net.UnixAddr))
	defer sender.Close()
	receiver, _ := ln.AcceptUnix()
	defer receiver.Close()

	r, w, _ := os.Pipe()
	fdpass.Write(sender, []byte("a pipe for you"), []*os.File{r})
	r.Close()

	p := make([]byte, 100)
	n, files, _ := fdpass.Read(receiver, p)
	fmt.Printf("%s: %d file\n", p[:n], len(files))
	io.WriteString(w, "through the pipe")
	w.Close()
	text, _ := io.ReadAll(files[0])
	fmt.Printf("%s\n", text)
	files[0].Close()
	// Output:
	// a pipe for you: 1 file
	// through the pipe
}
