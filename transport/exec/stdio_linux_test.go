// SPDX-License-Identifier: Apache-2.0

package exec_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	osexec "os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/net/nettest"
	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/exec"
)

var stdioAddr = endpoint.Address{Scheme: endpoint.Stdio}

// crossed makes two child's sides that talk to each other, over pipes or over
// sockets, which whoever started us may have chosen.
func crossed(t testing.TB, sockets bool) (a, b transport.Conn) {
	t.Helper()
	files := make([]*os.File, 0, 4)
	for range 2 {
		if sockets {
			fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, os.NewFile(uintptr(fds[0]), "r"), os.NewFile(uintptr(fds[1]), "w"))
			continue
		}
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, r, w)
	}
	a, errA := exec.StdioOver(files[0], files[3])
	b, errB := exec.StdioOver(files[2], files[1])
	for _, f := range files {
		_ = f.Close()
	}
	if err := errors.Join(errA, errB); err != nil {
		t.Fatal(err)
	}
	return a, b
}

func TestChildSideNet(t *testing.T) {
	for _, sockets := range []bool{false, true} {
		t.Run(fmt.Sprintf("sockets %v", sockets), func(t *testing.T) {
			nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
				a, b := crossed(t, sockets)
				return a, b, func() { _ = a.Close(); _ = b.Close() }, nil
			})
		})
	}
}

func TestChildSideCarriesNoFilesOverPipes(t *testing.T) {
	a, b := crossed(t, false)
	defer func() { _, _ = a.Close(), b.Close() }()
	if _, err := a.(transport.FilePasser).WriteFiles([]byte("x"), []*os.File{os.Stdin}); !errors.Is(err, fault.Unsupported) {
		t.Errorf("WriteFiles: %v, want unsupported", err)
	}
	if id := a.Peer(); id.Method != auth.FileOwner || int(id.UID) != os.Geteuid() {
		t.Errorf("peer %+v", id)
	}
}

// The flags of a description that we inherited are not ours to change: whoever
// reads after us must not meet EAGAIN.
func TestInheritedFlagsAreLeftAlone(t *testing.T) {
	nonblocking := func(f *os.File) bool {
		t.Helper()
		var flags int
		var ferr error
		raw, err := f.SyscallConn()
		if err == nil {
			err = raw.Control(func(fd uintptr) { flags, ferr = unix.FcntlInt(fd, unix.F_GETFL, 0) })
		}
		if err := errors.Join(err, ferr); err != nil {
			t.Fatal(err)
		}
		return flags&unix.O_NONBLOCK != 0
	}
	var p, s [2]int
	if err := errors.Join(unix.Pipe2(p[:], unix.O_CLOEXEC), func() (err error) {
		s, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		return err
	}()); err != nil {
		t.Fatal(err)
	}
	var files []*os.File
	for _, fd := range []int{p[0], p[1], s[0], s[1]} {
		f := os.NewFile(uintptr(fd), "inherited")
		defer func() { _ = f.Close() }()
		files = append(files, f)
	}
	c, err := exec.StdioOver(files[0], files[1])
	if err != nil {
		t.Fatal(err)
	}
	if nonblocking(files[0]) || nonblocking(files[1]) {
		t.Error("the pipe's shared description became non-blocking")
	}
	_ = c.Close()
	if c, err = exec.StdioOver(files[2], files[3]); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if nonblocking(files[2]) || nonblocking(files[3]) {
		t.Error("the socket's flags were not put back")
	}
}

// A shell's other commands share our stdin and stdout, before and after us.
func TestInAShell(t *testing.T) {
	exe := address(t).Args[0]
	script := `printf before-; printf data | "$0" 0; printf -- -after; cat`
	cmd := osexec.Command("sh", "-c", script, exe)
	cmd.Env = append(os.Environ(), proctest.Environ("echo"), exec.EnvFD+"=3:1:1:2:3:0000000000000000")
	cmd.Stdin = strings.NewReader("-rest")
	out, err := cmd.Output()
	if err != nil || string(out) != "before-data-after-rest" {
		t.Errorf("the shell's output is %q, %v", out, err)
	}
	// Files and /dev/null never wait, and are nobody's.
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = null.Close() }()
	cmd = osexec.Command(exe)
	cmd.Env = append(os.Environ(), proctest.Environ("who"))
	file, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = null, file, testWriter{t}
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(file.Name()); !strings.HasPrefix(string(got), fmt.Sprintf("kernel uid:%d", os.Getuid())) {
		t.Errorf("over files it says %q", got)
	}
}

// serveHTTP is a server on stdio, as a child.
func serveHTTP(*proctest.Self) error {
	ln, err := exec.ListenStdio(context.Background(), stdioAddr, transport.ListenConfig{})
	if err != nil {
		return err
	}
	err = http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "hello "+r.URL.Path) }))
	if !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("http.Serve ended with %w", err)
	}
	return ln.Close()
}

func TestHTTPServerEndsWithItsOneConnection(t *testing.T) {
	c := dial(t, address(t), in("http"))
	client := http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return c, nil }}}
	resp, err := client.Get("http://child/world")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if string(body) != "hello /world" {
		t.Errorf("body %q", body)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(t.Context()); err != nil {
		t.Errorf("the server: %v", err)
	}
	client.CloseIdleConnections()
}

// denying denies its parent, with a last word.
func denying(*proctest.Self) error {
	_, err := exec.ListenStdio(context.Background(), stdioAddr, transport.ListenConfig{
		Authorizer: auth.AuthorizerFunc(func(_ context.Context, id auth.Identity, a auth.Action, on string) error {
			return fmt.Errorf("%w: %s %s %s", fault.Denied, id.Method, a, on)
		}),
		Refuse: func(c transport.Conn) { _, _ = io.WriteString(c, "denied\n") },
	})
	if !errors.Is(err, fault.Denied) || !strings.Contains(err.Error(), "kernel connect endpoint:stdio:") {
		return fmt.Errorf("ListenStdio: %w", err)
	}
	return nil
}

func TestPolicyIsAskedOnStdio(t *testing.T) {
	c := dial(t, address(t), in("denying"))
	if got, err := io.ReadAll(c); string(got) != "denied\n" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
}

// listening looks at the listener itself.
func listening(*proctest.Self) error {
	ln, err := exec.ListenStdio(context.Background(), stdioAddr, transport.ListenConfig{})
	if err != nil {
		return err
	}
	c, err := ln.Accept()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err1 := ln.AcceptConn(ctx)
	ended := make(chan error)
	go func() { _, err := ln.Accept(); ended <- err }()
	if err := ln.Close(); err != nil {
		return err
	}
	_, werr := fmt.Fprintf(c, "%v|%v|%s\n", fault.KindOf(err1), errors.Is(<-ended, net.ErrClosed), ln.Address())
	return errors.Join(werr, c.Close())
}

func TestStdioListener(t *testing.T) {
	c := dial(t, address(t), in("listening"))
	if got, err := io.ReadAll(c); string(got) != "cancelled|true|stdio:\n" || err != nil {
		t.Errorf("the child says %q, %v", got, err)
	}
}

// parent starts a child of its own, tells its pid, and waits to be killed.
func parent(p *proctest.Self) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	a := endpoint.Address{Scheme: endpoint.Exec, Args: []string{exe, p.Args[1]}}
	c, err := exec.Dial(context.Background(), a, in(p.Args[0]))
	if err != nil {
		return err
	}
	if _, err := c.Write([]byte("x")); err != nil {
		return err
	}
	p.Say("ready")
	select {}
}

// orphan tells through a fifo how its parent ended.
func orphan(p *proctest.Self) error {
	c, err := stdio()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(p.Args[0], os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintln(out, "here")
	got, err := io.ReadAll(c)
	_, _ = fmt.Fprintf(out, "%s %v\n", got, err)
	return out.Close()
}

func plainOrphan(p *proctest.Self) error {
	_ = os.Unsetenv(exec.EnvFD)
	return orphan(p)
}

func TestKilledParent(t *testing.T) {
	for _, role := range []string{"orphan", "plainorphan"} {
		t.Run(role, func(t *testing.T) {
			path := t.TempDir() + "/fifo"
			if err := syscall.Mkfifo(path, 0o600); err != nil {
				t.Fatal(err)
			}
			p := proctest.Start(t, "parent", role, path)
			in, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = in.Close() }()
			lines := bufio.NewScanner(in)
			if !lines.Scan() || lines.Text() != "here" {
				t.Fatal(lines.Text(), lines.Err())
			}
			p.Expect("ready")
			if err := syscall.Kill(p.Pid(), syscall.SIGKILL); err != nil { // not its group: not its child
				t.Fatal(err)
			}
			if !lines.Scan() || lines.Text() != "x <nil>" {
				t.Errorf("the orphan says %q, %v; want the end of the stream", lines.Text(), lines.Err())
			}
		})
	}
}
