// SPDX-License-Identifier: Apache-2.0

package process

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The kernel's siginfo_t begins with three ints. A union follows, aligned as a
// pointer is: what belongs to a queued signal, and to the end of a child.
type (
	siginfoHead struct {
		signo, errno, code int32
	}
	siginfoQueued struct {
		siginfoHead
		_ [unsafe.Sizeof(uintptr(0)) - 4]byte // 4 bytes on 64 bits, none on 32
		siginfoSender
		value uintptr
	}
	siginfoSender struct {
		pid int32
		uid uint32
	}
	siginfoChild struct {
		siginfoHead
		_ [unsafe.Sizeof(uintptr(0)) - 4]byte
		siginfoSender
		status int32
	}
)

const (
	siQueue = -1 // SI_QUEUE: sent with a value
	siTkill = -6 // SI_TKILL: to one thread. Of the negative codes only this is the kernel's own
)

// SignalValue sends sig with a value, as sigqueue(3) does, to the process and
// never to a later one with its number. Real-time signals (34 to 64) are
// queued, others coalesce. value is a C int. A process that has ended is
// fault.NotFound, one whose queue is full fault.Exhausted.
func (p *Process) SignalValue(sig syscall.Signal, value int) error {
	var info unix.Siginfo
	*(*siginfoQueued)(unsafe.Pointer(&info)) = siginfoQueued{
		siginfoHead:   siginfoHead{signo: int32(sig), code: siQueue},
		siginfoSender: siginfoSender{pid: int32(os.Getpid()), uid: uint32(os.Getuid())},
		value:         uintptr(uint32(int32(value))), // sival_int is the low half of the pointer, on little-endian machines
	}
	return p.send(sig, &info, 0)
}

// signalfdInfo is the kernel's struct signalfd_siginfo, as far as we read it.
type signalfdInfo struct {
	signo        uint32
	errno, code  int32
	pid          uint32
	uid          uint32
	fd           int32
	tid, band    uint32
	overrun      uint32
	trapno       uint32
	status, ival int32
	_            [80]byte
}

const signalfdInfoSize = 128

func receivedFrom(b *[signalfdInfoSize]byte) Received {
	i := (*signalfdInfo)(unsafe.Pointer(b))
	r := Received{Signal: int(i.signo), PID: int(i.pid), UID: i.uid, Queued: i.code == siQueue, Vouched: i.code >= 0 || i.code == siTkill}
	if r.Queued {
		r.Value = int(i.ival)
	}
	return r
}

func sizeOfWord(set unix.Sigset_t) int { return int(unsafe.Sizeof(set.Val[0])) }
