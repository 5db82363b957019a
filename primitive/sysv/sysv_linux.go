// SPDX-License-Identifier: Apache-2.0

package sysv

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
)

var files = map[Kind]string{Queues: "msg", Semaphores: "sem", Memory: "shm"}

func list(kind Kind) ([]Info, error) {
	path := "/proc/sysvipc/" + files[kind]
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fault.New(fault.Unsupported, "list "+string(kind), path, err).WithHint("mount /proc; or this kernel was built without CONFIG_SYSVIPC")
	}
	if err != nil {
		return nil, fault.Wrap("list "+string(kind), path, err)
	}
	infos, err := parseTable(kind, string(text))
	if err != nil {
		return nil, fault.New(fault.Protocol, "list "+string(kind), path, err)
	}
	return infos, nil
}

// Get returns one object by its id; if there is none, it is fault.NotFound.
func Get(kind Kind, id int) (Info, error) {
	return find(kind, strconv.Itoa(id), func(i Info) bool { return i.ID == id })
}

// Find returns one object by its key, as ftok(3) makes them. Key 0 is private
// to many.
func Find(kind Kind, key int32) (Info, error) {
	return find(kind, fmt.Sprintf("key %#x", uint32(key)), func(i Info) bool { return i.Key == key && key != 0 })
}

func find(kind Kind, what string, is func(Info) bool) (Info, error) {
	if _, ok := files[kind]; !ok {
		return Info{}, fault.New(fault.Invalid, "find System V object", what, fmt.Errorf("no kind %q", kind))
	}
	infos, err := list(kind)
	if err != nil {
		return Info{}, err
	}
	if i := slices.IndexFunc(infos, is); i >= 0 {
		return infos[i], nil
	}
	return Info{}, fault.New(fault.NotFound, "find "+string(kind), what, nil)
}

// Remove removes an object. A queue and semaphores are gone at once, and who
// waits there is told; memory goes when the last process has detached it.
func Remove(kind Kind, id int) error {
	if _, ok := files[kind]; !ok {
		return fault.New(fault.Invalid, "remove System V object", strconv.Itoa(id), fmt.Errorf("no kind %q", kind))
	}
	return wrap("remove "+string(kind), id, "ctl", removeObject(kind, id))
}

// wrap knows that an id which nobody has is EINVAL to the kernel.
func wrap(op string, id int, call string, err error) error {
	if err == nil {
		return nil
	}
	e := fault.New(fault.KindOf(err), op, strconv.Itoa(id), os.NewSyscallError(call, err))
	if err == unix.EINVAL || err == unix.EIDRM {
		e.Kind = fault.NotFound
	}
	return e
}

// The kernel wakes only threads that sleep in the call, so a waiter looks
// again: after the first pause, then after twice as long, up to the last.
const (
	firstPause = 100 * time.Microsecond
	lastPause  = 20 * time.Millisecond
)

// firstBuffer is enough for most messages. The sysctl that bounds them may be
// set to 2 GiB.
const firstBuffer = 4 << 10

func until(ctx context.Context, again func(error) bool, try func() error) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		err := try()
		if err == unix.EINTR {
			continue
		}
		if !again(err) {
			return err
		}
		timer := time.NewTimer(pause/2 + rand.N(pause/2))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// Send sends a message of a type, 1 or more, and waits while the queue is
// full: these queues cannot be polled, so it looks again every 20 ms at most.
func (q Queue) Send(ctx context.Context, kind int, data []byte) error {
	const op = "send to queue"
	if kind < 1 {
		return fault.New(fault.Invalid, op, strconv.Itoa(q.ID), errors.New("a message's type is 1 or more"))
	}
	if limit := msgMax(); len(data) > limit {
		return fault.New(fault.TooLarge, op, strconv.Itoa(q.ID), fmt.Errorf("%d bytes, and a message may have %d", len(data), limit)).
			WithHint("raise the sysctl kernel.msgmax")
	}
	if limit, err := msgLimit(q.ID); err == nil && uint64(len(data)) > limit {
		return fault.New(fault.TooLarge, op, strconv.Itoa(q.ID), fmt.Errorf("%d bytes, and this queue holds %d", len(data), limit))
	}
	buf := make([]byte, wordSize+len(data))
	putWord(buf, kind)
	copy(buf[wordSize:], data)
	err := until(ctx, func(err error) bool { return err == unix.EAGAIN }, func() error { return msgsnd(q.ID, buf) })
	if ctx.Err() != nil && err != nil {
		return fault.Wrap(op, strconv.Itoa(q.ID), err)
	}
	return wrap(op, q.ID, "msgsnd", err)
}

// Receive takes the first message: of any type if kind is 0, of that type if
// it is positive, of the lowest type up to -kind if it is negative. It waits as
// Send does.
func (q Queue) Receive(ctx context.Context, kind int) (Message, error) {
	const op = "receive from queue"
	buf := make([]byte, wordSize+firstBuffer)
	n := 0
	err := until(ctx, func(err error) bool { return err == unix.ENOMSG }, func() (err error) {
		n, err = msgrcv(q.ID, buf, kind)
		for err == unix.E2BIG { // it stays in the queue
			buf = make([]byte, wordSize+2*len(buf))
			n, err = msgrcv(q.ID, buf, kind)
		}
		return err
	})
	if err != nil && ctx.Err() != nil {
		return Message{}, fault.Wrap(op, strconv.Itoa(q.ID), err)
	}
	if err != nil {
		return Message{}, wrap(op, q.ID, "msgrcv", err)
	}
	return Message{Type: word(buf), Data: buf[wordSize : wordSize+n : wordSize+n]}, nil
}

// Limit is how many bytes of messages the queue holds.
func (q Queue) Limit() (uint64, error) {
	n, err := msgLimit(q.ID)
	return n, wrap("inspect queue", q.ID, "msgctl", err)
}

func msgMax() int {
	text, err := os.ReadFile("/proc/sys/kernel/msgmax")
	n, perr := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || perr != nil {
		return 8192
	}
	return n
}

// Values reads the semaphores of a set, one after the other.
func Values(id int) ([]int, error) {
	info, err := Get(Semaphores, id)
	if err != nil {
		return nil, err
	}
	values := make([]int, info.Count)
	for i := range values {
		if values[i], err = semValue(id, i); err != nil {
			return nil, wrap("read semaphores", id, "semctl", err)
		}
	}
	return values, nil
}

// Read copies what is in shared memory from offset on into p, as much as there
// is; others may write at the same time, so it may be torn. At the end n is less than
// len(p), and past it 0.
func Read(id int, p []byte, offset int64) (n int, err error) {
	mem, err := unix.SysvShmAttach(id, 0, unix.SHM_RDONLY)
	if err != nil {
		return 0, wrap("read memory", id, "shmat", err)
	}
	if offset >= 0 && offset < int64(len(mem)) {
		n = copy(p, mem[offset:])
	}
	return n, wrap("read memory", id, "shmdt", unix.SysvShmDetach(mem))
}
