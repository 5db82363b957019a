// SPDX-License-Identifier: Apache-2.0

package sysv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
)

// private makes an object of the test's own.
func private(t testing.TB, kind Kind) int {
	t.Helper()
	var id uintptr
	var errno unix.Errno
	const flags = 0o1640 // IPC_CREAT and its mode
	switch kind {
	case Queues:
		id, _, errno = unix.Syscall(unix.SYS_MSGGET, 0, flags, 0)
	case Semaphores:
		id, _, errno = unix.Syscall(unix.SYS_SEMGET, 0, 3, flags)
	case Memory:
		id, _, errno = unix.Syscall(unix.SYS_SHMGET, 0, 5000, flags)
	}
	if errno != 0 {
		t.Fatal(errno)
	}
	t.Cleanup(func() { _ = Remove(kind, int(id)) })
	return int(id)
}

func get(t *testing.T, kind Kind, id int) Info {
	t.Helper()
	i, err := Get(kind, id)
	if err != nil {
		t.Fatal(err)
	}
	if i.Kind != kind || i.ID != id || i.UID != uint32(os.Geteuid()) || i.Creator != i.UID || i.Mode != 0o640 || i.Changed.IsZero() {
		t.Errorf("%+v", i)
	}
	return i
}

// TestLargeMessage is larger than the buffer that Receive begins with.
func TestLargeMessage(t *testing.T) {
	q := Queue{private(t, Queues)}
	want := bytes.Repeat([]byte("large"), firstBuffer/4)
	if limit := msgMax(); len(want) > limit {
		t.Skipf("messages have %d bytes at most here", limit)
	}
	if err := q.Send(t.Context(), 3, want); err != nil {
		t.Fatal(err)
	}
	if m, err := q.Receive(t.Context(), 0); err != nil || m.Type != 3 || !bytes.Equal(m.Data, want) {
		t.Errorf("%d bytes of type %d: %v", len(m.Data), m.Type, err)
	}
}

func TestQueue(t *testing.T) {
	q := Queue{private(t, Queues)}
	ctx := t.Context()
	for kind, text := range map[int]string{7: "seven", 2: "two"} {
		if err := q.Send(ctx, kind, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if i := get(t, Queues, q.ID); i.Bytes != 8 || i.Count != 2 || i.Used.IsZero() || !reflect.DeepEqual(i.PIDs, []int{os.Getpid(), 0}) {
		t.Errorf("%+v", i)
	}
	for _, c := range []struct {
		ask  int
		want Message
	}{{-7, Message{2, []byte("two")}}, {7, Message{7, []byte("seven")}}} {
		if m, err := q.Receive(ctx, c.ask); err != nil || !reflect.DeepEqual(m, c.want) {
			t.Errorf("%d: %+v, %v", c.ask, m, err)
		}
	}
	brief, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	if _, err := q.Receive(brief, 0); !errors.Is(err, fault.Timeout) {
		t.Error(err)
	}
	got := make(chan Message)
	go func() {
		m, err := q.Receive(context.Background(), 0)
		if err != nil {
			t.Error(err)
		}
		got <- m
	}()
	if err := q.Send(ctx, 1, nil); err != nil {
		t.Fatal(err)
	}
	if m := <-got; m.Type != 1 || len(m.Data) != 0 {
		t.Errorf("%+v", m)
	}
}

func TestFullQueue(t *testing.T) {
	q := Queue{private(t, Queues)}
	limit, err := q.Limit()
	if err != nil || limit == 0 {
		t.Fatalf("%d, %v", limit, err)
	}
	piece := make([]byte, min(int(limit), msgMax()))
	for filled := len(piece); filled <= int(limit); filled += len(piece) {
		if err := q.Send(t.Context(), 1, piece); err != nil {
			t.Fatal(err)
		}
	}
	brief, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := q.Send(brief, 1, piece); !errors.Is(err, fault.Timeout) {
		t.Error(err)
	}
	sent := make(chan error)
	go func() { sent <- q.Send(context.Background(), 1, piece) }()
	if _, err := q.Receive(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	go func() { sent <- q.Send(context.Background(), 1, piece) }()
	if err := Remove(Queues, q.ID); err != nil {
		t.Fatal(err)
	}
	if err := <-sent; !errors.Is(err, fault.NotFound) {
		t.Errorf("a queue that was removed: %v", err)
	}
	if err := q.Send(t.Context(), 1, make([]byte, msgMax()+1)); !errors.Is(err, fault.TooLarge) || !strings.Contains(err.Error(), "kernel.msgmax") {
		t.Error(err)
	}
	if err := q.Send(t.Context(), 0, nil); !errors.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

func TestSemaphores(t *testing.T) {
	id := private(t, Semaphores)
	const setVal = 16
	if _, _, errno := unix.Syscall6(unix.SYS_SEMCTL, uintptr(id), 1, setVal, 5, 0, 0); errno != 0 {
		t.Fatal(errno)
	}
	if v, err := Values(id); err != nil || !reflect.DeepEqual(v, []int{0, 5, 0}) {
		t.Errorf("%v, %v", v, err)
	}
	if i := get(t, Semaphores, id); i.Count != 3 {
		t.Errorf("%+v", i)
	}
}

func TestMemory(t *testing.T) {
	id := private(t, Memory)
	mem, err := unix.SysvShmAttach(id, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	copy(mem[4990:], "0123456789")
	if i := get(t, Memory, id); i.Bytes != 5000 || i.Count != 1 || len(i.PIDs) != 2 || i.PIDs[0] != os.Getpid() {
		t.Errorf("%+v", i)
	}
	if err := unix.SysvShmDetach(mem); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 20)
	for offset, want := range map[int64]string{4990: "0123456789", 4999: "9", 5000: "", -1: ""} {
		if n, err := Read(id, p, offset); err != nil || string(p[:n]) != want {
			t.Errorf("at %d: %q, %v", offset, p[:n], err)
		}
	}
	if i := get(t, Memory, id); i.Count != 0 {
		t.Errorf("%d attached, nobody is", i.Count)
	}
}

func TestRemoved(t *testing.T) {
	for _, kind := range []Kind{Queues, Semaphores, Memory} {
		id := private(t, kind)
		if err := Remove(kind, id); err != nil {
			t.Fatal(err)
		}
		if err := Remove(kind, id); !errors.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", kind, err)
		}
		if _, err := Get(kind, id); !errors.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", kind, err)
		}
		if _, err := Find(kind, 0); !errors.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if err := Remove("chair", 1); !errors.Is(err, fault.Invalid) {
		t.Error(err)
	}
	if _, err := Find("chair", 1); !errors.Is(err, fault.Invalid) {
		t.Error(err)
	}
	if _, err := Read(-1, nil, 0); !errors.Is(err, fault.NotFound) {
		t.Error(err)
	}
}

// TestOldProgram: one in C, which finds its objects by ftok's keys.
func TestOldProgram(t *testing.T) {
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("no gcc to compile the old program with")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "old")
	if out, err := exec.CommandContext(t.Context(), gcc, "-O1", "-Wall", "-o", program, "testdata/old.c").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), program, dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	var key int32
	if _, err := fmt.Sscanf(string(out), "key %d", &key); err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	ids := map[Kind]int{}
	for _, kind := range []Kind{Queues, Semaphores, Memory} {
		i, err := Find(kind, key)
		if err != nil {
			t.Fatal(err)
		}
		ids[kind] = i.ID
		t.Cleanup(func() { _ = Remove(kind, i.ID) })
	}
	if m, err := (Queue{ids[Queues]}).Receive(t.Context(), 3); err != nil || m.Type != 3 || string(m.Data) != "from the old" {
		t.Errorf("%+v, %v", m, err)
	}
	if v, err := Values(ids[Semaphores]); err != nil || !reflect.DeepEqual(v, []int{4, 2}) {
		t.Errorf("%v, %v", v, err)
	}
	p := make([]byte, 16)
	if n, err := Read(ids[Memory], p, 0); err != nil || n != 16 || !bytes.HasPrefix(p, []byte("in memory\x00")) {
		t.Errorf("%q, %v", p[:n], err)
	}
}

func FuzzTable(f *testing.F) {
	for kind, name := range files {
		text, err := os.ReadFile("/proc/sysvipc/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(kind), string(text))
	}
	f.Add("queue", "key msqid perms cbytes qnum lspid lrpid uid gid cuid cgid stime rtime ctime\n1 2 640 3 4 5 6 7 8 9 10 11 12 13\n")
	f.Fuzz(func(t *testing.T, kind, text string) {
		infos, err := parseTable(Kind(kind), text)
		if err != nil && infos != nil {
			t.Error("both")
		}
	})
}

func ExampleList() {
	infos, err := List()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, i := range infos {
		if i.Kind == Memory && i.Count == 0 {
			_ = fmt.Sprintf("memory %d of uid %d: %d bytes that nobody has attached since %v", i.ID, i.UID, i.Bytes, i.Used)
		}
	}
	fmt.Println("done")
	// Output: done
}
