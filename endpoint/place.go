// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/rundir"
)

// MaxSocketPath is the longest path of a socket, in bytes: what the kernel's
// struct sockaddr_un holds, less its final zero.
const MaxSocketPath = 107

const (
	entrySuffix  = ".ep"
	socketSuffix = ".sock"
)

// fifoSuffixes are the two files of a fifo address: client to server, server
// to client.
var fifoSuffixes = [...]string{".c2s", ".s2c"}

// names finds names in runtime directories. Its zero value is what programs
// use; tests put other directories in.
type names struct{ dirs rundir.Locator }

// place is where an address lives in the file system.
type place struct {
	addr  Address
	path  string      // socket or stem of the fifos; empty for tcp, tls
	entry string      // the registry entry; empty for what is not registered
	dir   string      // our own runtime directory; empty if the entry has no need of it
	mode  fs.FileMode // of the socket
}

// toListen returns the place that addr is claimed at, and makes our runtime
// directory if it lies in there.
func (n names) toListen(addr Address) (place, error) {
	p := place{addr: addr, mode: 0o666}
	switch addr.Scheme {
	case TCP, TLS, SHM, Unix, FIFO:
	case Mem:
		if addr.Item == "" {
			return p, fault.New(fault.Invalid, "listen", addr.String(), errors.New("an engine in memory has no listener of its own, only what is in it has"))
		}
	default:
		return p, nil
	}
	if addr.Path != "" {
		p.path, p.entry = addr.Path, n.pathEntry(addr)
		return p, p.checkLength()
	}
	if err := checkOwn(addr); err != nil {
		return p, err
	}
	d, err := n.dirs.Ensure()
	if err != nil {
		return p, fault.Wrap("listen", addr.String(), err)
	}
	p.dir, p.mode = d.Path, d.SocketMode()
	if addr.Host != "" {
		p.entry = filepath.Join(d.Path, hostEntry(addr))
		return p, nil
	}
	p.path = filepath.Join(d.Path, addr.fileName()+socketSuffix)
	p.entry = filepath.Join(d.Path, addr.fileName()+entrySuffix)
	return p, p.checkLength()
}

// fileName is the name of the address's files in a runtime directory. No
// name of shm or unix contains '@'.
func (a Address) fileName() string {
	if a.Item == "" {
		return a.Name
	}
	return a.Name + "@" + strings.ReplaceAll(a.Item, "/", "@")
}

// pathEntry is beside the path; but a path that also is a name's has the
// name's entry, and thus one owner whichever way it is spelt.
func (n names) pathEntry(addr Address) string {
	dir, base := filepath.Split(addr.Path)
	name, ok := strings.CutSuffix(base, socketSuffix)
	if own, err := n.dirs.Own(); err == nil && ok && addr.Scheme != FIFO && filepath.Clean(dir) == own.Path && checkName(name) == nil {
		return filepath.Join(own.Path, name+entrySuffix)
	}
	return addr.Path + entrySuffix
}

// checkOwn refuses to listen on another user's name.
func checkOwn(addr Address) error {
	if addr.User == "" {
		return nil
	}
	uid, err := lookupUID(addr.User)
	if err == nil && int64(uid) != int64(os.Geteuid()) {
		err = fault.New(fault.Denied, "listen", addr.String(), fmt.Errorf("the name belongs to uid %d, and we are uid %d", uid, os.Geteuid()))
	}
	return err
}

func (p place) checkLength() error {
	limit, what := MaxSocketPath, "the path of a socket"
	if p.addr.Scheme == FIFO {
		limit, what = maxText-len("fifo://"), "the path of a fifo"
	}
	if n := len(p.path); n > limit {
		return fault.New(fault.TooLarge, "address", p.addr.String(), fmt.Errorf("%s is %s, which is %d bytes long, and the limit is %d", what, p.path, n, limit)).
			WithHint("choose a shorter name, or set PARLEY_RUNTIME_DIR to a shorter directory")
	}
	return nil
}

// hostEntry names the entry of a tcp or tls address: no other name can start
// with '@'. Different addresses may share it, see slots.
func hostEntry(addr Address) string {
	safe := strings.Map(func(r rune) rune {
		if strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-", r) {
			return r
		}
		return '_'
	}, addr.Host)
	return "@" + string(addr.Scheme) + "-" + safe[:min(len(safe), 100)] + entrySuffix
}

// DialPath returns the socket path behind a shm, unix or mem address, or the stem
// of a fifo's, having checked that the runtime directory it lies in belongs
// to whom it should. Where there is no such directory nobody listens:
// fault.Unavailable.
func DialPath(addr Address) (string, error) { return names{}.dialPath(addr) }

func (n names) dialPath(addr Address) (string, error) {
	path, d, err := n.toDial(addr)
	if err != nil || d == nil {
		return path, err
	}
	if err := d(); err != nil {
		if fault.KindOf(err) == fault.NotFound {
			return "", fault.New(fault.Unavailable, "dial", addr.String(), fmt.Errorf("nobody listens there: %s does not exist", filepath.Dir(path)))
		}
		return "", fault.Wrap("dial", addr.String(), err)
	}
	return path, nil
}

// toDial returns the path and, unless it was given as one, the check of its
// directory.
func (n names) toDial(addr Address) (string, func() error, error) {
	p := place{addr: addr, path: addr.Path}
	switch {
	case addr.Path != "":
		return p.path, nil, p.checkLength()
	case addr.Scheme != SHM && addr.Scheme != Unix && (addr.Scheme != Mem || addr.Item == ""):
		return "", nil, fault.New(fault.Invalid, "dial", addr.String(), errors.New("the address has no path"))
	}
	d, err := n.dirs.Own()
	if addr.User != "" {
		var uid uint32
		if uid, err = lookupUID(addr.User); err != nil {
			return "", nil, err
		}
		d, err = n.dirs.Of(uid)
	}
	if d.Path == "" {
		return "", nil, fault.Wrap("dial", addr.String(), err)
	}
	p.path = filepath.Join(d.Path, addr.fileName()+socketSuffix)
	return p.path, func() error { return err }, p.checkLength()
}

func lookupUID(name string) (uint32, error) { return rundir.LookupUID(name) }
