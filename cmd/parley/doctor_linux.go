// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/internal/inventory"
	"github.com/parley-ipc/parley/primitive/mqueue"
)

// systemFindings tries each kernel feature and reads each limit.
func systemFindings() []finding {
	return []finding{
		kernelFinding(),
		probe("sealed memory", "memfd with F_SEAL_FUTURE_WRITE", trySeals(), stateBad, "shm:// needs it (Linux 5.1, and a seccomp filter that allows memfd_create)"),
		probe("noexec memory", "MFD_NOEXEC_SEAL", tryMemfd(unix.MFD_NOEXEC_SEAL), stateNote, "comes with Linux 6.3; segments are merely not executable by choice"),
		probe("pidfd", "pidfd_open", tryPidfd(), stateBad, "exec: needs it (Linux 5.3)"),
		probe("peer pidfd", "SO_PEERPIDFD", tryPeerPidfd(), stateNote, "comes with Linux 6.5; a peer's pid is for people to read only"),
		probe("safe paths", "openat2 RESOLVE_NO_SYMLINKS", tryOpenat2(), stateBad, "runtime directories are checked with it (Linux 5.6)"),
		probe("user namespaces' uids", "the uid map is readable", readable("/proc/self/uid_map"), stateNote, "mount /proc, or foreign uids cannot be told apart"),
		descriptorFinding(),
		mappingFinding(),
		cpuFinding(),
		queuesFinding(),
		leftoversFinding(),
	}
}

func kernelFinding() finding {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return finding{"kernel", stateBad, err.Error(), ""}
	}
	release := unix.ByteSliceToString(u.Release[:])
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		return finding{"kernel", stateNote, "Linux " + release + ", of unknown age", ""}
	}
	if major < 5 || major == 5 && minor < 10 {
		return finding{"kernel", stateBad, "Linux " + release, "Parley is made for Linux 5.10 and later"}
	}
	return finding{"kernel", stateOK, "Linux " + release, ""}
}

func trySeals() error {
	fd, err := unix.MemfdCreate("parley-doctor", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return os.NewSyscallError("memfd_create", err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Fallocate(fd, 0, 0, int64(os.Getpagesize())); err != nil {
		return os.NewSyscallError("fallocate", err)
	}
	_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_FUTURE_WRITE|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
	return os.NewSyscallError("seal", err)
}

func tryMemfd(flags int) error {
	fd, err := unix.MemfdCreate("parley-doctor", unix.MFD_CLOEXEC|flags)
	if err != nil {
		return os.NewSyscallError("memfd_create", err)
	}
	return unix.Close(fd)
}

func tryPidfd() error {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return os.NewSyscallError("pidfd_open", err)
	}
	return unix.Close(fd)
}

func tryPeerPidfd() error {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socketpair", err)
	}
	defer func() { _, _ = unix.Close(fds[0]), unix.Close(fds[1]) }()
	pidfd, err := unix.GetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_PEERPIDFD)
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	return unix.Close(pidfd)
}

func tryOpenat2() error {
	fd, err := unix.Openat2(unix.AT_FDCWD, "/", &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS})
	if err != nil {
		return os.NewSyscallError("openat2", err)
	}
	return unix.Close(fd)
}

func readable(path string) error {
	_, err := os.ReadFile(path)
	return err
}

func descriptorFinding() finding {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return finding{"descriptors", stateBad, err.Error(), ""}
	}
	row := finding{"descriptors", stateOK, fmt.Sprintf("%d, one a connection", limit.Cur), ""}
	if limit.Cur < 4096 {
		row.State, row.Do = stateNote, "raise `ulimit -n` for servers with many connections"
	}
	return row
}

func mappingFinding() finding {
	const path, perConnection = "/proc/sys/vm/max_map_count", 6
	text, err := os.ReadFile(path)
	n, perr := strconv.Atoi(strings.TrimSpace(string(text)))
	if err := errors.Join(err, perr); err != nil {
		return finding{"mappings", stateNote, err.Error(), ""}
	}
	return finding{"mappings", stateOK, fmt.Sprintf("%d, enough for about %d shm connections a process", n, n/perConnection), ""}
}

func queuesFinding() finding {
	infos, err := mqueue.List()
	return probe("message queues", fmt.Sprintf("POSIX: %d there", len(infos)), err, stateNote, "they work; parley mq ls and ipcs show them once they are mounted")
}

// leftoversFinding counts what nobody has.
func leftoversFinding() finding {
	objects, _, err := inventory.List(context.Background(), inventory.Options{})
	var parley, kernel int
	for _, o := range objects {
		switch {
		case o.State != inventory.Orphaned:
		case o.Parley:
			parley++
		default:
			kernel++
		}
	}
	row := probe("leftovers", fmt.Sprintf("of %d IPC objects nobody has %d of Parley's and %d of other programs", len(objects), parley, kernel), err, stateNote, "")
	if err == nil && parley+kernel > 0 {
		row.State, row.Do = stateNote, "parley ipcs --orphaned; parley gc removes Parley's, parley gc --kernel others' too"
	}
	return row
}

func cpuFinding() finding {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return finding{"processors", stateNote, err.Error(), ""}
	}
	row := finding{"processors", stateOK, fmt.Sprintf("%d of %d may be used", set.Count(), runtime.NumCPU()), ""}
	if set.Count() < 2 {
		row.State, row.Do = stateNote, "shm:// spins only with two or more; with one it sleeps, as it should"
	}
	return row
}
