// SPDX-License-Identifier: Apache-2.0

package mqueue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
)

func TestPrioritiesAndAttributes(t *testing.T) {
	q := fresh(t, Config{MaxMessages: 4, MessageSize: 16})
	send(t, q, "first of the low", 0)
	send(t, q, "high", MaxPriority)
	send(t, q, "", 1)
	send(t, q, "last of the low", 0)
	if a, err := q.Attributes(); err != nil || a != (Attributes{MaxMessages: 4, MessageSize: 16, Messages: 4}) {
		t.Errorf("%+v, %v", a, err)
	}
	expect(t, q, "high", MaxPriority)
	expect(t, q, "", 1)
	expect(t, q, "first of the low", 0)
	expect(t, q, "last of the low", 0)
}

func TestErrorsOfUse(t *testing.T) {
	q := fresh(t, Config{MaxMessages: 1, MessageSize: 8})
	ctx := t.Context()
	for _, c := range []struct {
		err  error
		want fault.Kind
		text string
	}{
		{q.Send(ctx, make([]byte, 9), 0), fault.TooLarge, "up to 8"},
		{q.Send(ctx, nil, MaxPriority+1), fault.Invalid, "32767"},
		{second(Open(q.Name(), Config{Create: true, Exclusive: true})), fault.InUse, ""},
		{second(Open("/parley-test-nobody", Config{})), fault.NotFound, "parley mq create"},
		{Unlink("/parley-test-nobody"), fault.NotFound, ""},
		{second(Open("/a/b", Config{})), fault.Invalid, "no slash"},
		{second(Open("/", Config{})), fault.Invalid, ""},
		{second(Open("/..", Config{})), fault.Invalid, ""},
		{second(Open(strings.Repeat("x", 256), Config{})), fault.Invalid, "255"},
		{second(Open("x", Config{Create: true, MaxMessages: -1})), fault.Invalid, "negative"},
		{open(t, q.Name(), Config{Access: ReceiveOnly}).Send(ctx, nil, 0), fault.Denied, "Access"},
	} {
		if !errors.Is(c.err, c.want) || !strings.Contains(c.err.Error(), c.text) {
			t.Errorf("%v; want %v with %q", c.err, c.want, c.text)
		}
	}
	send(t, q, "x", 0)
	if _, _, err := q.Receive(ctx, make([]byte, 7)); !errors.Is(err, fault.TooLarge) {
		t.Error(err)
	}
	if _, err := open(t, q.Name(), Config{Access: SendOnly}).Next(ctx); !errors.Is(err, fault.Denied) {
		t.Error(err)
	}
	if q, err := Open(strings.TrimPrefix(q.Name(), "/"), Config{Create: true}); err != nil { // there, and without its slash
		t.Error(err)
	} else {
		_ = q.Close()
	}
}

func second[T any](_ T, err error) error { return err }

// TestLimitsNameTheSysctl: as an ordinary user, for whom they hold.
func TestLimitsNameTheSysctl(t *testing.T) {
	if os.Geteuid() == 0 { // root may go beyond the first two, up to the kernel's own
		err := second(Open("/parley-test-limits", Config{Create: true, MaxMessages: 1 << 20}))
		if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "fs.mqueue.msg_max") {
			t.Error(err)
		}
		err = second(Open("/parley-test-limits", Config{Create: true, MessageSize: 1 << 30}))
		if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "fs.mqueue.msgsize_max") {
			t.Error(err)
		}
		return
	}
	err := second(Open("/parley-test-limits", Config{Create: true, MaxMessages: sysctl("msg_max", 10) + 1}))
	if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "fs.mqueue.msg_max") {
		t.Error(err)
	}
}

// TestUsersLimit: RLIMIT_MSGQUEUE holds for root too.
func TestUsersLimit(t *testing.T) {
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MSGQUEUE, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_MSGQUEUE, &unix.Rlimit{Cur: 1, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Setrlimit(unix.RLIMIT_MSGQUEUE, &before) }()
	err := second(Open("/parley-test-limits", Config{Create: true}))
	if !errors.Is(err, fault.Exhausted) || !strings.Contains(err.Error(), "ulimit -q") {
		t.Error(err)
	}
	for errno, word := range map[error]string{unix.ENOSPC: "fs.mqueue.queues_max", unix.ENOSYS: "CONFIG_POSIX_MQUEUE"} {
		if err := openError("x", Config{}, errno); !strings.Contains(err.Error(), word) {
			t.Error(err)
		}
	}
}

func TestWaitsEndWithTheirContextAndWithClose(t *testing.T) {
	q := fresh(t, Config{MaxMessages: 1, MessageSize: 1})
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := q.Next(ctx); !errors.Is(err, fault.Timeout) {
		t.Error(err)
	}
	send(t, q, "x", 0)
	ctx, cancel = context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := q.Send(ctx, []byte("y"), 0); !errors.Is(err, fault.Timeout) {
		t.Error(err)
	}
	ended := make(chan error)
	go func() { ended <- q.Send(context.Background(), []byte("y"), 0) }()
	_ = q.Close()
	if err := <-ended; !errors.Is(err, fault.Closed) {
		t.Error(err)
	}
}

// TestNoThreadPerWaiter: hundreds wait, in the poller.
func TestNoThreadPerWaiter(t *testing.T) {
	const waiters = 300
	q := fresh(t, Config{MaxMessages: 4, MessageSize: 8})
	before := pprof.Lookup("threadcreate").Count()
	var wg sync.WaitGroup
	for range waiters {
		wg.Go(func() {
			if _, err := q.Next(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	for range waiters {
		send(t, q, "go", 0)
	}
	wg.Wait()
	if grown := pprof.Lookup("threadcreate").Count() - before; grown > 4*runtime.GOMAXPROCS(0)+20 {
		t.Errorf("%d waiters took %d threads", waiters, grown)
	}
}

func TestNotify(t *testing.T) {
	q := fresh(t, Config{MaxMessages: 2, MessageSize: 8})
	n, err := q.Notify()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Notify(); !errors.Is(err, fault.InUse) {
		t.Errorf("a second registration: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := n.Wait(ctx); !errors.Is(err, fault.Timeout) {
		t.Errorf("nothing has come: %v", err)
	}
	send(t, q, "x", 0)
	if err := n.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	_ = n.Close()
	expect(t, q, "x", 0)

	if n, err = q.Notify(); err != nil { // once it has told, it is free again
		t.Fatal(err)
	}
	if err := errors.Join(n.Close(), n.Close()); err != nil {
		t.Error(err)
	}
	if n, err = q.Notify(); err != nil { // and once it was taken back
		t.Fatal(err)
	}
	defer func() { _ = n.Close() }()
	_ = open(t, q.Name(), Config{}).Close() // any descriptor of ours
	if err := n.Wait(t.Context()); !errors.Is(err, fault.Closed) {
		t.Errorf("a dropped registration: %v", err)
	}
}

// TestDeathFreesTheRegistration of a process that is killed.
func TestDeathFreesTheRegistration(t *testing.T) {
	q := fresh(t, Config{})
	p := proctest.Start(t, "registered", q.Name())
	p.Expect("registered")
	if _, err := q.Notify(); !errors.Is(err, fault.InUse) {
		t.Errorf("%v", err)
	}
	p.Kill()
	n, err := q.Notify()
	if err != nil {
		t.Fatal(err)
	}
	_ = n.Close()
}

// TestKilledSendersLeaveWholeMessages: of 4 KiB, each filled with one byte.
func TestKilledSendersLeaveWholeMessages(t *testing.T) {
	q := fresh(t, Config{MaxMessages: 4, MessageSize: 4096})
	for range 8 {
		p := proctest.Start(t, "flood", q.Name())
		p.Expect("sending")
		for range 50 {
			whole(t, q)
		}
		p.Kill()
		for a, err := q.Attributes(); ; a, err = q.Attributes() {
			if err != nil {
				t.Fatal(err)
			}
			if a.Messages == 0 {
				break
			}
			whole(t, q)
		}
	}
}

func whole(t *testing.T, q *Queue) {
	t.Helper()
	m, err := q.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Data) != 4096 || !bytes.Equal(m.Data, bytes.Repeat(m.Data[:1], 4096)) {
		t.Fatalf("a torn message of %d bytes", len(m.Data))
	}
}

func TestList(t *testing.T) {
	q := fresh(t, Config{MaxMessages: 3, MessageSize: 100, Mode: 0o640})
	send(t, q, "0123456789", 0)
	infos, err := List()
	if errors.Is(err, fault.Unsupported) {
		t.Skipf("the mqueue file system cannot be looked at here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(infos, func(i Info) bool { return i.Name == q.Name() })
	if i < 0 {
		t.Fatalf("%s is not among %d queues", q.Name(), len(infos))
	}
	got := infos[i]
	if got.Err != nil || got.UID != uint32(os.Geteuid()) || got.Mode != 0o640 || got.Bytes == 0 || got.Used.IsZero() ||
		got.Attributes != (Attributes{MaxMessages: 3, MessageSize: 100, Messages: 1}) {
		t.Errorf("%+v", got)
	}
}

func TestStatusAndMounts(t *testing.T) {
	s, err := parseStatus("QSIZE:129     NOTIFY:2    SIGNO:0    NOTIFY_PID:8260  \n")
	if err != nil || s != (status{129, 8260}) {
		t.Errorf("%+v, %v", s, err)
	}
	for _, text := range []string{"", "QSIZE", "QSIZE:", "QSIZE:x", "NOTIFY:0", "QSIZE:-1"} {
		if s, err := parseStatus(text); err == nil {
			t.Errorf("%q: %+v", text, s)
		}
	}
	const mounts = "22 1 0:1 / / rw - tmpfs x rw\n30 22 0:20 / /odd\\040place rw shared:5 - mqueue mqueue rw\n"
	if got := mountOf(mounts); got != "/odd place" {
		t.Errorf("%q", got)
	}
	if got := mountOf("22 1 0:1 / / rw - tmpfs x rw\n"); got != "" {
		t.Errorf("%q", got)
	}
}

func FuzzStatus(f *testing.F) {
	f.Add("QSIZE:129     NOTIFY:2    SIGNO:0    NOTIFY_PID:8260  \n")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := parseStatus(text); err == nil && s.bytes < 0 {
			t.Errorf("%q: %+v", text, s)
		}
		mountOf(text)
	})
}

// TestLibrt: a C program and we exchange messages through the same queues,
// priorities included.
func TestLibrt(t *testing.T) {
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("no gcc to compile the C side with")
	}
	program := filepath.Join(t.TempDir(), "echo")
	out, err := exec.CommandContext(t.Context(), gcc, "-O1", "-Wall", "-o", program, "testdata/echo.c", "-lrt").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	to, from := fresh(t, Config{MaxMessages: 2, MessageSize: 64}), fresh(t, Config{MaxMessages: 2, MessageSize: 64})
	cmd := exec.CommandContext(t.Context(), program, to.Name(), from.Name())
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		send(t, to, fmt.Sprint("message ", i), uint32(i))
		expect(t, from, fmt.Sprint("message ", i), uint32(i+1))
	}
	send(t, to, "", 0)
	if err := cmd.Wait(); err != nil || said.String() != "maxmsg 2 msgsize 64\n" {
		t.Errorf("%v: %s", err, said.String())
	}
}

func Example() {
	name := fmt.Sprintf("/parley-example-%d", os.Getpid())
	q, err := Open(name, Config{Create: true, MaxMessages: 4, MessageSize: 64})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _, _ = q.Close(), Unlink(name) }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_ = q.Send(ctx, []byte("can wait"), 0)
	_ = q.Send(ctx, []byte("urgent"), 9)
	for range 2 {
		m, err := q.Next(ctx)
		fmt.Println(string(m.Data), m.Priority, err)
	}
	// Output:
	// urgent 9 <nil>
	// can wait 0 <nil>
}
