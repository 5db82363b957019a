// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/internal/rundir"
)

func TestMain(m *testing.M) {
	proctest.Main(m, map[string]proctest.Role{
		"own": roleOwn, "race": roleRace, "churn": roleChurn, "try": roleTry, "peek": rolePeek, "full": roleFull, "spin": roleSpin,
	})
}

// namesAt reads what a role is told: "private:DIR" or "shared:DIR".
func namesAt(spec string) names {
	kind, dir, _ := strings.Cut(spec, ":")
	none := filepath.Join(dir, "none")
	l := rundir.Locator{Shared: none, Users: none, Temp: dir, Getenv: func(string) string { return "" }}
	if kind == "shared" {
		l.Shared = dir
	}
	return names{dirs: l}
}

func take(n names, address string) (*Claim, error) {
	addr, err := Parse(address)
	if err != nil {
		return nil, err
	}
	return n.acquire(context.Background(), addr, false)
}

func listen(c *Claim) (*net.UnixListener, error) {
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: c.Path(), Net: "unix"})
	if err != nil {
		return nil, err
	}
	ln.SetUnlinkOnClose(false)
	return ln, os.Chmod(c.Path(), c.Mode())
}

// roleOwn NAMES ADDRESS owns an address until its parent lets it go.
func roleOwn(p *proctest.Self) error {
	c, err := take(namesAt(p.Args[0]), p.Args[1])
	if err != nil {
		return err
	}
	if c.Path() != "" && c.Address().Scheme != FIFO {
		ln, err := listen(c)
		if err != nil {
			return err
		}
		defer func() { _ = ln.Close() }()
	}
	c.Counters().BytesIn.Add(4711)
	if c.keep != nil {
		c.keep.out.write()
	}
	p.Say("ready")
	_, _ = p.Hear()
	return nil // without a Close: like a crash, but for the exit status
}

// roleTry NAMES ADDRESS says what came of a claim.
func roleTry(p *proctest.Self) error {
	c, err := take(namesAt(p.Args[0]), p.Args[1])
	if err != nil {
		p.Sayf("%v|%v", fault.KindOf(err), err)
		return nil
	}
	p.Say("ok")
	return c.Close()
}

// roleRace NAMES ADDRESS claims at each "go" and lets go at each "done".
func roleRace(p *proctest.Self) error {
	n := namesAt(p.Args[0])
	p.Say("ready")
	for {
		if _, err := p.Hear(); err != nil {
			return nil
		}
		c, err := take(n, p.Args[1])
		switch {
		case err == nil:
			p.Say("won")
		case errors.Is(err, fault.InUse):
			p.Say("lost")
		default:
			return err
		}
		if _, err := p.Hear(); err != nil {
			return nil
		}
		if c != nil {
			if err := c.Close(); err != nil {
				return err
			}
		}
		p.Say("free")
	}
}

// roleChurn NAMES ADDRESS claims a name that is its alone, again and again,
// each time finding what it left as if it had been killed, until its parent
// says "settle"; then it owns the name until it hears "end".
func roleChurn(p *proctest.Self) error {
	n := namesAt(p.Args[0])
	settle := make(chan struct{})
	go func() { // ends with the process
		_, _ = p.Hear()
		close(settle)
	}()
	for i := 0; ; i++ {
		c, ln, err := churn(n, p.Args[1])
		if err != nil {
			return fmt.Errorf("round %d: %w", i, err)
		}
		select {
		case <-settle:
			p.Say("live")
			_, _ = p.Hear()
			return stillThere(c)
		default:
		}
		_ = ln.Close()
		abandon(c)
		if _, err := n.list(context.Background(), ListOptions{}); err != nil { // gives cleaners a chance
			return err
		}
	}
}

func churn(n names, address string) (*Claim, net.Listener, error) {
	c, err := take(n, address)
	if err != nil {
		return nil, nil, err
	}
	ln, err := listen(c)
	if err != nil {
		return nil, nil, err
	}
	return c, ln, stillThere(c)
}

// stillThere wants the socket and the entry of a living owner.
func stillThere(c *Claim) error {
	conn, err := net.Dial("unix", c.Path())
	if err != nil {
		return fmt.Errorf("the socket of a live owner has gone: %w", err)
	}
	if !sameFile(c.keep.file, c.keep.place.entry) {
		return errors.New("the entry of a live owner has gone")
	}
	return conn.Close()
}

// abandon leaves everything of c where it is, as the kernel does at a kill.
func abandon(c *Claim) {
	_ = c.keep.life.Unlock()
	c.keep.out.close()
	_ = c.keep.file.Close()
}

// roleSpin NAMES ADDRESS claims and lets go until it is killed.
func roleSpin(p *proctest.Self) error {
	n := namesAt(p.Args[0])
	p.Say("spinning")
	for {
		c, ln, err := churn(n, p.Args[1])
		if err != nil {
			return err
		}
		if err := errors.Join(ln.Close(), c.Close()); err != nil {
			return err
		}
	}
}

// rolePeek PATH says whether we can open a file at all.
func rolePeek(p *proctest.Self) error {
	for _, flag := range []int{os.O_RDONLY, os.O_RDWR} {
		f, err := os.OpenFile(p.Args[0], flag, 0)
		if err == nil {
			_ = f.Close()
			p.Say("open")
			return nil
		}
	}
	p.Say("refused")
	return nil
}

// roleFull DIR claims on a full disk, in a mount namespace of its own.
func roleFull(p *proctest.Self) error {
	dir := p.Args[0]
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k,mode=0755"); err != nil {
		return err
	}
	n := namesAt("private:" + dir)
	if _, err := n.dirs.Ensure(); err != nil {
		return err
	}
	big := filepath.Join(dir, "big")
	err := os.WriteFile(big, make([]byte, 1<<20), 0o600)
	if !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("filling the disk: %w", err)
	}
	_, err = take(n, "shm://full")
	p.Sayf("%v|%v", fault.KindOf(err), err)
	left, err := os.ReadDir(filepath.Join(dir, "parley-"+strconv.Itoa(os.Geteuid())))
	p.Sayf("left %v %v", left, err)
	if err := os.Remove(big); err != nil {
		return err
	}
	c, err := take(n, "shm://full")
	if err != nil {
		return err
	}
	p.Say("ok")
	return c.Close()
}
