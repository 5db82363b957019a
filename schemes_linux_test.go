// SPDX-License-Identifier: Apache-2.0

package parley_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/auth/ca"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/internal/stock"
	"github.com/parley-ipc/parley/transport"
	startup "github.com/parley-ipc/parley/transport/exec"
)

const (
	serverID = "spiffe://test.example/server"
	clientID = "spiffe://test.example/client"
)

// route is one way to a server in another process (for inproc: in this one).
type route struct {
	name    string
	address string // "" for exec
	method  auth.Method
	who     string // what the client sees of the server
}

// routes are addresses of every scheme, in a runtime directory and under
// certificates of the test's own.
func routes(t *testing.T) []route {
	t.Helper()
	me, dir := auth.Self().String(), shortDir(t)
	t.Setenv("PARLEY_RUNTIME_DIR", dir+"/run")
	t.Setenv(tlsEnv, dir)
	makeCertificates(t, dir)
	return []route{
		{"inproc", "inproc://same", auth.Kernel, me},
		{"shm", "shm://same", auth.Kernel, me},
		{"shm-path", "shm://" + dir + "/s.sock", auth.Kernel, me},
		{"unix", "unix://same-raw", auth.Kernel, me},
		{"unix-grpc-spelling", "unix:" + dir + "/g.sock", auth.Kernel, me},
		{"tcp", "tcp://127.0.0.1:0", auth.SockDiag, me},
		{"tls", "tls://127.0.0.1:0", auth.TLS, serverID},
		{"fifo", "fifo://" + dir + "/f", auth.FileOwner, me},
		{"exec", "", auth.Spawned, me},
	}
}

func makeCertificates(t *testing.T, dir string) {
	t.Helper()
	loopback := []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	err := ca.Init(dir, "test", 0)
	if err == nil {
		_, err = ca.Issue(dir, ca.Request{Name: "server", SPIFFE: serverID, IPs: loopback, Server: true})
	}
	if err == nil {
		_, err = ca.Issue(dir, ca.Request{Name: "client", SPIFFE: clientID, Client: true})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// dialer reaches a server that does what role does with its arguments after
// the address, and the child likewise that exec starts.
func (r route) dialer(t *testing.T, role, childRole string, args ...string) func(context.Context) (transport.Conn, error) {
	t.Helper()
	d := &parley.Dialer{TLS: certificate("client"), WaitFor: limit}
	if r.address == "" {
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		d.AllowExec = true
		d.Exec = startup.Config{Env: append(os.Environ(), proctest.Environ(childRole)), Stderr: os.Stderr}
		addr := endpoint.Address{Scheme: endpoint.Exec, Args: append([]string{exe}, args...)}
		return func(ctx context.Context) (transport.Conn, error) { return d.Dial(ctx, addr.String()) }
	}
	server := proctest.Start(t, role, append(append([]string{r.address}, args...), clientID)...)
	address := server.Hear()
	t.Cleanup(func() {
		server.Done()
		if err := server.Wait(); err != nil {
			t.Errorf("the server: %v", err)
		}
	})
	return func(ctx context.Context) (transport.Conn, error) { return d.Dial(ctx, address) }
}

// TestSameProgramOverEveryAddress: what a program sees of its peer does not
// depend on the address, but for how the peer's identity is known.
func TestSameProgramOverEveryAddress(t *testing.T) {
	var first []string
	for _, r := range routes(t) {
		t.Run(r.name, func(t *testing.T) {
			var dial func(context.Context) (transport.Conn, error)
			if r.name == "inproc" {
				dial = inThisProcess(t, r.address)
			} else {
				dial = r.dialer(t, "server", "stdio")
			}
			got := program(t, dial, r)
			if first == nil {
				first = got
			}
			if !slices.Equal(got, first) {
				t.Errorf("the program saw\n%s\nand over the first address\n%s", strings.Join(got, "\n"), strings.Join(first, "\n"))
			}
		})
	}
}

func inThisProcess(t *testing.T, address string) func(context.Context) (transport.Conn, error) {
	t.Helper()
	ln, err := parley.Listen(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { echoAll(ln, nil) })
	t.Cleanup(func() { _ = ln.Close(); wg.Wait() })
	return func(ctx context.Context) (transport.Conn, error) { return parley.Dial(ctx, address) }
}

// program uses connections in all the ways that have an end, and returns what
// it saw.
func program(t *testing.T, dial func(context.Context) (transport.Conn, error), r route) []string {
	t.Helper()
	var seen []string
	for _, use := range []func(transport.Conn) string{large, halfClose, deadline, closedUnderReader} {
		c, err := dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if id := c.Peer(); id.Method != r.method || id.String() != r.who {
			t.Errorf("the peer is %v by %s, want %s by %s", id, id.Method, r.who, r.method)
		}
		seen = append(seen, use(c))
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		seen = append(seen, fmt.Sprint("second Close harmless: ", c.Close() == nil))
		_, rerr := c.Read(make([]byte, 1))
		_, werr := c.Write([]byte("x"))
		seen = append(seen, fmt.Sprintf("after Close: %v %v %v %v", fault.KindOf(rerr), errors.Is(rerr, net.ErrClosed), fault.KindOf(werr), errors.Is(werr, net.ErrClosed)))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := dial(ctx)
	return append(seen, fmt.Sprint("dialling with an ended context: ", fault.KindOf(err), errors.Is(err, context.Canceled)))
}

// large sends a megabyte both ways at once.
func large(c transport.Conn) string {
	text := bytes.Repeat([]byte("parley"), 1<<20/6)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { _, _ = c.Write(text) })
	got := make([]byte, len(text))
	_, err := io.ReadFull(c, got)
	return fmt.Sprint("large: ", bytes.Equal(got, text), err)
}

func halfClose(c transport.Conn) string {
	_, werr := io.WriteString(c, "to the end")
	cerr := errors.Join(c.CloseWrite(), c.CloseWrite())
	got, rerr := io.ReadAll(c)
	_, after := io.WriteString(c, "x")
	return fmt.Sprintf("half-close: %v %v %q %v; a write then fails: %v", werr, cerr, got, rerr, after != nil)
}

// deadline lets one pass, and goes on.
func deadline(c transport.Conn) string {
	err := c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	n, rerr := c.Read(make([]byte, 1))
	var ne net.Error
	timeout := errors.As(rerr, &ne) && ne.Timeout()
	return fmt.Sprint("deadline: ", err, n, fault.KindOf(rerr), errors.Is(rerr, os.ErrDeadlineExceeded), timeout, "; then ", echo(c, []byte("on")))
}

// closedUnderReader wants a blocked Read to end with our own Close.
func closedUnderReader(c transport.Conn) string {
	ended := make(chan error, 1)
	go func() { _, err := c.Read(make([]byte, 1)); ended <- err }()
	cerr := c.Close()
	err := <-ended
	return fmt.Sprint("closed under a reader: ", cerr, fault.KindOf(err), errors.Is(err, net.ErrClosed))
}

// TestStockLibrariesOverEveryAddress: net/http, net/rpc and grpc-go with its
// deadlines, statuses and streams, over parley.Dial and parley.Listen between
// two processes.
func TestStockLibrariesOverEveryAddress(t *testing.T) {
	for _, r := range routes(t) {
		for _, use := range stock.Uses() {
			t.Run(r.name+"/"+use.Name, func(t *testing.T) {
				if r.name == "inproc" {
					ln, err := parley.Listen(t.Context(), r.address)
					if err != nil {
						t.Fatal(err)
					}
					defer use.Serve(ln)()
					call(t, use, func(ctx context.Context) (transport.Conn, error) { return parley.Dial(ctx, r.address) })
					return
				}
				call(t, use, r.dialer(t, "stock", "stdio-stock", use.Name))
			})
		}
	}
}

func call(t *testing.T, use stock.Use, dial func(context.Context) (transport.Conn, error)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	err := use.Call(ctx, func(ctx context.Context) (net.Conn, error) {
		c, err := dial(ctx)
		if err != nil {
			return nil, err
		}
		return c, nil
	}, 1)
	if err != nil {
		t.Error(err)
	}
}

// TestNobodyThere: each scheme that has a name says the same of it.
func TestNobodyThere(t *testing.T) {
	for _, r := range routes(t) {
		if r.address == "" {
			continue
		}
		a, err := endpoint.Parse(strings.Replace(r.address, ":0", ":"+freePort(t), 1))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parley.Dial(t.Context(), a.String()); !errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), a.String()) {
			t.Errorf("%v; want unavailable, and %s", err, a)
		}
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return strconv.Itoa(ln.Addr().(*net.TCPAddr).Port)
}

// TestDialerFromManyGoroutines uses one Dialer, and its zero value.
func TestDialerFromManyGoroutines(t *testing.T) {
	for _, r := range routes(t)[:6] {
		t.Run(r.name, func(t *testing.T) {
			ln, err := parley.Listen(t.Context(), r.address)
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			wg.Go(func() { echoAll(ln, nil) })
			var d parley.Dialer
			var callers sync.WaitGroup
			for i := range 32 {
				callers.Go(func() {
					c, err := d.Dial(t.Context(), ln.Address().String())
					if err != nil {
						t.Error(err)
						return
					}
					if err := errors.Join(echo(c, fmt.Append(nil, "caller ", i)), c.Close()); err != nil {
						t.Error(err)
					}
				})
			}
			callers.Wait()
			if err := ln.Close(); err != nil {
				t.Error(err)
			}
			wg.Wait()
		})
	}
}
