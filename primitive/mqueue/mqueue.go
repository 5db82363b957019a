// SPDX-License-Identifier: Apache-2.0

package mqueue

import (
	"errors"
	"io/fs"
	"strings"
	"time"

	"github.com/parley-ipc/parley/fault"
)

// MaxPriority is the highest priority of a message; 0 is the lowest.
const MaxPriority = 32767

// Access says what a Queue is opened for.
type Access uint8

// The kinds of access.
const (
	Both        Access = iota // to send and to receive
	ReceiveOnly               // which needs read permission only
	SendOnly                  // which needs write permission only
)

// Config says how Open opens a queue. The zero value opens one that is there,
// to send and to receive.
type Config struct {
	Create    bool        // make it if it is not there
	Exclusive bool        // with Create: fault.InUse if it is there already
	Access    Access      // default: Both
	Mode      fs.FileMode // of one that is made, umask or not; default 0600

	// Limits of a queue that is made; of one that is there they do not matter.
	MaxMessages int // default: the sysctl fs.mqueue.msg_default, 10 as a rule
	MessageSize int // bytes; default: fs.mqueue.msgsize_default, 8192 as a rule
}

// Attributes are a queue's limits, and how full it is.
type Attributes struct {
	MaxMessages int `json:"max_messages"`
	MessageSize int `json:"message_size"` // bytes, the most that a message may have
	Messages    int `json:"messages"`     // that wait now
}

// Message is what Next receives.
type Message struct {
	Data     []byte
	Priority uint32
}

// Info is a queue as List finds it.
type Info struct {
	Name      string      `json:"name"` // with its leading slash
	UID       uint32      `json:"uid"`  // of its owner
	Mode      fs.FileMode `json:"mode"`
	Used      time.Time   `json:"used"`       // when it was made, sent to or received from last
	Bytes     int64       `json:"bytes"`      // in all messages that wait
	NotifyPID int         `json:"notify_pid"` // who waits to be notified; 0: nobody
	Attributes
	Device uint64 `json:"-"` // with Inode, what a descriptor of it shows in /proc/PID/fd
	Inode  uint64 `json:"-"`
	Err    error  `json:"-"` // why more than its owner and age cannot be told, if so
}

// checkName returns the kernel's name for a queue: mq_overview(7)'s, without
// the leading slash, which may be left out here.
func checkName(name string) (string, error) {
	base := strings.TrimPrefix(name, "/")
	switch {
	case base == "" || base == "." || base == "..":
		return "", errors.New("a queue's name has a character at least, as /orders")
	case len(base) > 255:
		return "", errors.New("a queue's name has 255 bytes at most")
	case strings.ContainsAny(base, "/\x00"):
		return "", errors.New("a queue's name has no slash but the first")
	}
	return base, nil
}

func named(op, name string) (string, error) {
	base, err := checkName(name)
	if err != nil {
		return "", fault.New(fault.Invalid, op, name, err)
	}
	return base, nil
}

// List returns the queues of this IPC namespace, by name. It needs a mount of
// the mqueue file system, as on /dev/mqueue; without one, only a process with
// CAP_SYS_ADMIN can look, and for others it is fault.Unsupported.
func List() ([]Info, error) { return list() }

// Unlink removes the queue's name. Who has it open keeps it. If there is no
// such queue, it is fault.NotFound.
func Unlink(name string) error {
	base, err := named("unlink queue", name)
	if err != nil {
		return err
	}
	return unlink(base)
}
