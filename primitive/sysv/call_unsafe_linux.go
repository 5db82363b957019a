// SPDX-License-Identifier: Apache-2.0

package sysv

import (
	"encoding/binary"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	ipcRMID   = 0
	ipcStat   = 2
	ipc64     = 0x100
	ipcNoWait = 0o4000
	semGetVal = 12

	wordSize = int(unsafe.Sizeof(uintptr(0))) // of C's long
)

// msgsnd sends buf, which begins with the type, C's long.
func msgsnd(id int, buf []byte) error {
	_, _, errno := unix.Syscall6(unix.SYS_MSGSND, uintptr(id), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)-wordSize), ipcNoWait, 0, 0)
	return failed(errno)
}

func msgrcv(id int, buf []byte, kind int) (int, error) {
	n, _, errno := unix.Syscall6(unix.SYS_MSGRCV, uintptr(id), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)-wordSize), uintptr(kind), ipcNoWait, 0)
	return int(n), failed(errno)
}

// msgLimit reads msg_qbytes of struct msqid64_ds: behind the permissions and
// three times, each of which takes two words where words have 32 bits.
func msgLimit(id int) (uint64, error) {
	var ds struct {
		perm  unix.SysvIpcPerm
		words [16]uintptr
	}
	cmd := ipcStat
	if runtime.GOARCH == "arm" {
		cmd |= ipc64
	}
	if _, _, errno := unix.Syscall(unix.SYS_MSGCTL, uintptr(id), uintptr(cmd), uintptr(unsafe.Pointer(&ds))); errno != 0 {
		return 0, errno
	}
	times := 3 * 8 / wordSize
	return uint64(ds.words[times+2]), nil
}

func semValue(id, index int) (int, error) {
	n, _, errno := unix.Syscall6(unix.SYS_SEMCTL, uintptr(id), uintptr(index), semGetVal, 0, 0, 0)
	return int(n), failed(errno)
}

func removeObject(kind Kind, id int) error {
	var errno unix.Errno
	switch kind {
	case Queues:
		_, _, errno = unix.Syscall(unix.SYS_MSGCTL, uintptr(id), ipcRMID, 0)
	case Semaphores:
		_, _, errno = unix.Syscall6(unix.SYS_SEMCTL, uintptr(id), 0, ipcRMID, 0, 0, 0)
	case Memory:
		_, err := unix.SysvShmCtl(id, ipcRMID, nil)
		return err
	}
	return failed(errno)
}

func failed(errno unix.Errno) error {
	if errno != 0 {
		return errno
	}
	return nil
}

func putWord(b []byte, v int) {
	if wordSize == 8 {
		binary.NativeEndian.PutUint64(b, uint64(v))
		return
	}
	binary.NativeEndian.PutUint32(b, uint32(v))
}

func word(b []byte) int {
	if wordSize == 8 {
		return int(binary.NativeEndian.Uint64(b))
	}
	return int(int32(binary.NativeEndian.Uint32(b)))
}
