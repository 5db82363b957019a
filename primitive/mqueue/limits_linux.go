// SPDX-License-Identifier: Apache-2.0

package mqueue

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
)

// sysctl reads fs.mqueue.NAME of this IPC namespace.
func sysctl(name string, otherwise int) int {
	text, err := os.ReadFile("/proc/sys/fs/mqueue/" + name)
	if err != nil {
		return otherwise
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return otherwise
	}
	return n
}

// openError says which limit of the system was met and what to do about it.
func openError(base string, c Config, err error) error {
	if err == nil {
		return nil
	}
	e := fault.New(fault.KindOf(err), "open queue", "/"+base, os.NewSyscallError("mq_open", err))
	switch err {
	case unix.EEXIST:
		e.Kind = fault.InUse
	case unix.ENOENT:
		e.Hint = "nobody has made it yet: parley mq create /" + base
	case unix.EINVAL:
		return invalid(e, c)
	case unix.ENOSPC:
		e.Hint = fmt.Sprintf("the system has its %d queues: remove some (parley mq ls) or raise the sysctl fs.mqueue.queues_max", sysctl("queues_max", 256))
	case unix.EMFILE:
		e.Hint = fmt.Sprintf("this user's queues may take %s in all, one of these limits too much: smaller limits for this queue, or raise `ulimit -q` (or the descriptor table is full: `ulimit -n`)", queueBytes())
	case unix.EOVERFLOW, unix.ENOMEM:
		e.Kind = fault.Exhausted
	case unix.ENOSYS:
		e.Kind, e.Hint = fault.Unsupported, "this kernel was built without CONFIG_POSIX_MQUEUE"
	}
	return e
}

func invalid(e *fault.Error, c Config) error {
	e.Kind = fault.Invalid
	if limit := sysctl("msg_max", 10); c.MaxMessages > limit {
		e.Err = fmt.Errorf("%d messages, and the system allows %d", c.MaxMessages, limit)
		e.Hint = "raise the sysctl fs.mqueue.msg_max"
	}
	if limit := sysctl("msgsize_max", 8192); c.MessageSize > limit {
		e.Err = fmt.Errorf("messages of %d bytes, and the system allows %d", c.MessageSize, limit)
		e.Hint = "raise the sysctl fs.mqueue.msgsize_max"
	}
	return e
}

func queueBytes() string {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_MSGQUEUE, &limit) != nil {
		return "some bytes"
	}
	return fmt.Sprintf("%d bytes", limit.Cur)
}
