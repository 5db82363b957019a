// SPDX-License-Identifier: Apache-2.0

package sysv

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// columns says which column of a kind's table is which field.
var columns = map[Kind]struct {
	id, bytes, count string
	used             []string
	pids             []string
}{
	Queues:     {"msqid", "cbytes", "qnum", []string{"stime", "rtime"}, []string{"lspid", "lrpid"}},
	Semaphores: {"semid", "", "nsems", []string{"otime"}, nil},
	Memory:     {"shmid", "size", "nattch", []string{"atime", "dtime"}, []string{"cpid", "lpid"}},
}

// parseTable reads a file of /proc/sysvipc: names of columns, then a line an
// object.
func parseTable(kind Kind, text string) ([]Info, error) {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	heads := strings.Fields(lines[0])
	var infos []Info
	for _, line := range lines[1:] {
		words := strings.Fields(line)
		if len(words) != len(heads) {
			return nil, fmt.Errorf("a line of %d words under %d heads", len(words), len(heads))
		}
		row := tableRow{}
		for i, h := range heads {
			row[h] = words[i]
		}
		info, err := row.info(kind)
		if err != nil {
			return nil, err
		}
		infos = append(infos, info)
	}
	return infos, nil
}

type tableRow map[string]string

func (r tableRow) info(kind Kind) (Info, error) {
	c := columns[kind]
	var err error
	number := func(name string, base int) int64 {
		n, perr := strconv.ParseInt(r[name], base, 64)
		if perr != nil && err == nil {
			err = fmt.Errorf("column %s: %w", name, perr)
		}
		return n
	}
	i := Info{
		Kind: kind, ID: int(number(c.id, 10)), Key: int32(number("key", 10)), Mode: fs.FileMode(number("perms", 8)).Perm(),
		UID: uint32(number("uid", 10)), Creator: uint32(number("cuid", 10)), Count: uint64(number(c.count, 10)),
		Changed: moment(number("ctime", 10)),
	}
	if c.bytes != "" {
		i.Bytes = uint64(number(c.bytes, 10))
	}
	for _, name := range c.used {
		if t := moment(number(name, 10)); t.After(i.Used) {
			i.Used = t
		}
	}
	for _, name := range c.pids {
		i.PIDs = append(i.PIDs, int(number(name, 10)))
	}
	return i, err
}

// moment is zero for what has never been.
func moment(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}
