// SPDX-License-Identifier: Apache-2.0

package process

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
)

// clockTicks is what the kernel counts start times in, on every architecture
// that Go runs on.
const clockTicks = 100

// Info asks /proc. A process that has ended is fault.NotFound.
func (p *Process) Info() (Info, error) {
	i, err := readInfo(fmt.Sprintf("/proc/%d", p.pid))
	if !p.Alive() { // then the number may have been another's as we read
		return Info{}, fault.New(fault.NotFound, "look at process", strconv.Itoa(p.pid), errors.New("it has ended"))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return Info{}, fault.New(fault.Denied, "look at process", strconv.Itoa(p.pid), errors.New("/proc does not show it: it is mounted with hidepid, or for another PID namespace"))
	}
	i.PID = p.pid
	return i, fault.Wrap("look at process", strconv.Itoa(p.pid), err)
}

func readInfo(dir string) (Info, error) {
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return Info{}, err
	}
	i, ticks, err := parseStat(stat)
	if err != nil {
		return Info{}, err
	}
	if i.Started, err = sinceBoot(ticks); err != nil {
		return Info{}, err
	}
	st, err := os.Stat(dir)
	if err != nil {
		return Info{}, err
	}
	i.UID = st.Sys().(*syscall.Stat_t).Uid
	i.Executable, err = os.Readlink(filepath.Join(dir, "exe"))
	if err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, fs.ErrNotExist) { // no right, or a kernel thread
		return Info{}, err
	}
	i.Cgroup, err = readCgroup(filepath.Join(dir, "cgroup"))
	return i, err
}

// parseStat reads name, parent and start time. The name stands in brackets and
// may hold brackets and spaces itself.
func parseStat(b []byte) (i Info, ticks uint64, err error) {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || end < open {
		return i, 0, fmt.Errorf("%w: no name in stat", fault.Protocol)
	}
	fields := strings.Fields(string(b[end+1:]))
	if len(fields) < 20 {
		return i, 0, fmt.Errorf("%w: stat has %d fields", fault.Protocol, len(fields))
	}
	i.Name = string(b[open+1 : end])
	ppid, err1 := strconv.Atoi(fields[1])
	ticks, err2 := strconv.ParseUint(fields[19], 10, 64)
	i.PPID = ppid
	return i, ticks, errors.Join(err1, err2)
}

// sinceBoot makes a time of ticks of CLOCK_BOOTTIME.
func sinceBoot(ticks uint64) (time.Time, error) {
	var boot unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot); err != nil {
		return time.Time{}, os.NewSyscallError("clock_gettime", err)
	}
	age := time.Duration(boot.Nano()) - time.Duration(ticks)*(time.Second/clockTicks)
	return time.Now().Add(-age).Round(time.Second / clockTicks), nil
}

func readCgroup(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	first := ""
	for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		parts := strings.SplitN(line, ":", 3)
		if len(parts) != 3 {
			continue
		}
		if parts[0] == "0" {
			return parts[2], nil
		}
		if first == "" {
			first = parts[2]
		}
	}
	return first, nil
}
