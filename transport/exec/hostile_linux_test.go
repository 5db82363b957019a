// SPDX-License-Identifier: Apache-2.0

package exec_test

import (
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/transport/exec"
)

// hostile does something else on the offered descriptor than to take it, and
// then echoes over plain stdin and stdout.
func hostile(p *proctest.Self) error {
	fields := strings.Split(os.Getenv(exec.EnvFD), ":")
	nonce, err := hex.DecodeString(fields[5])
	if err != nil {
		return err
	}
	file := os.NewFile(3, "offered")
	conn, err := net.FileConn(file)
	if err != nil {
		return err
	}
	sock := conn.(*net.UnixConn)
	good := append([]byte("PRLYTAKE\x01\x00\x00\x00\x00\x00\x00\x00"), nonce...)
	switch p.Args[0] {
	case "random":
		_, err = sock.Write([]byte(strings.Repeat("random bytes ", 1000)))
	case "version":
		good[8] = 9
		_, err = sock.Write(good)
	case "nonce":
		good[23] ^= 1
		_, err = sock.Write(good)
	case "truncated":
		_, err = sock.Write(good[:10])
		_, _ = sock.Close(), file.Close()
	case "files":
		_, _, err = sock.WriteMsgUnix(good, syscall.UnixRights(0, 1, 2, 2, 2, 2, 2, 2), nil)
	case "silent":
	case "blocking": // our end's flags are not the parent's
		if err = syscall.SetNonblock(3, false); err == nil {
			err = syscall.SetNonblock(0, false)
		}
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(struct{ io.Writer }{os.Stdout}, struct{ io.Reader }{os.Stdin})
	return err
}

func TestHostileTake(t *testing.T) {
	for _, how := range []string{"random", "version", "nonce", "truncated", "files", "silent", "blocking"} {
		t.Run(how, func(t *testing.T) {
			cfg := in("hostile")
			var log logBuffer
			cfg.Logger = log.logger()
			c := dial(t, address(t, how), cfg)
			if _, err := fmt.Fprint(c, "still works"); err != nil {
				t.Fatal(err)
			}
			if how != "silent" && how != "blocking" {
				// The offer is settled before the program reads.
				if _, err := c.WriteFiles([]byte("x"), []*os.File{os.Stdin}); err == nil {
					t.Error("files went to a child that did not take the socket")
				}
			}
			if err := c.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(c)
			if err != nil || string(got) != "still works" {
				t.Fatalf("read %q, %v", got, err)
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			if warned := strings.Contains(log.String(), "take-over refused"); warned != (how != "silent" && how != "blocking") {
				t.Errorf("log says:\n%s", log.String())
			}
		})
	}
}
