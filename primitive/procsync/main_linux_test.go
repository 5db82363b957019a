// SPDX-License-Identifier: Apache-2.0

package procsync_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/primitive/procsync"
)

func TestMain(m *testing.M) {
	proctest.RunRole(map[string]proctest.Role{
		"hold":   hold,
		"count":  count,
		"wait":   wait,
		"answer": answer,
		"named":  named,
		"work":   work,
		"greedy": greedy,
		"keep":   keep,
		"party":  party,
		"buffer": buffer,
	})
	goleak.VerifyTestMain(proctest.Isolated(m))
}

// object is memory with an object in it, and the bytes behind it for a test's
// own use, all of it a file's.
type object struct {
	path  string
	file  *os.File
	mem   []byte
	extra []byte
}

// bg is for waits that a killed process would never end.
var bg = context.Background()

const extraBytes = 4096

// create makes an object in a new file.
func create(t testing.TB, s procsync.Shape) *object {
	t.Helper()
	size, err := procsync.Size(s)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "object")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(int64(roundUp(size) + extraBytes)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	o, err := openObject(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.close)
	if err := procsync.Format(o.mem, s); err != nil {
		t.Fatal(err)
	}
	return o
}

func roundUp(n int) int { return (n + 4095) &^ 4095 }

func openObject(path string) (*object, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	cut := len(mem) - extraBytes
	return &object{path: path, file: f, mem: mem[:cut:cut], extra: mem[cut:]}, nil
}

func (o *object) close() {
	_ = unix.Munmap(o.mem[:cap(o.mem)])
	_ = o.file.Close()
}

func (o *object) mutex(t testing.TB) *procsync.Mutex {
	t.Helper()
	m, err := procsync.AttachMutex(o.mem, o.file, procsync.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func mutexShape() procsync.Shape { return procsync.Shape{Kind: procsync.KindMutex} }

// soon is for what must happen, on the busiest machine.
func soon(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}
