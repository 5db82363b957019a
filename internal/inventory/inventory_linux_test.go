// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/primitive/mqueue"
	"github.com/parley-ipc/parley/primitive/shm"
	"github.com/parley-ipc/parley/transport"
	unixtransport "github.com/parley-ipc/parley/transport/unix"
)

func TestMain(m *testing.M) { proctest.Main(m, map[string]proctest.Role{"have": have}) }

// have NAME FILE FIFO has a queue, a mapping whose descriptor is closed, and a
// FIFO, until it is told to end.
func have(p *proctest.Self) error {
	q, err := mqueue.Open(p.Args[0], mqueue.Config{})
	if err != nil {
		return err
	}
	f, err := os.OpenFile(p.Args[1], os.O_RDWR, 0)
	if err != nil {
		return err
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, 4096, unix.PROT_READ, unix.MAP_SHARED)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	pipe, err := os.OpenFile(p.Args[2], os.O_RDWR, 0)
	if err != nil {
		return err
	}
	p.Say("have")
	_, _ = p.Hear()
	return errors.Join(q.Close(), pipe.Close(), unix.Munmap(mem))
}

func all(t *testing.T, o Options) []Object {
	t.Helper()
	objects, problems, err := List(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if !errors.Is(p.Err, fault.Unsupported) { // queues that are not mounted
			t.Errorf("%s: %v", p.Source, p.Err)
		}
	}
	return objects
}

func find(t *testing.T, objects []Object, kind, name string) Object {
	t.Helper()
	i := slices.IndexFunc(objects, func(o Object) bool { return o.Kind == kind && o.Name == name })
	if i < 0 {
		t.Fatalf("no %s %s among %d objects", kind, name, len(objects))
	}
	o := objects[i]
	if o.UID == nil || *o.UID != owner() && *o.UID != uint32(os.Geteuid()) || o.Since.IsZero() && !strings.HasPrefix(name, "@") {
		t.Errorf("%+v", o)
	}
	return o
}

// owner is whose objects are looked at: where root itself may not look at some
// of root's processes, as in a container, those of a user who has none.
func owner() uint32 {
	if os.Geteuid() == 0 {
		return 54321
	}
	return uint32(os.Geteuid())
}

func TestLiveAndOrphaned(t *testing.T) {
	if _, err := mqueue.List(); err != nil {
		t.Skipf("queues cannot be looked at here: %v", err)
	}
	unique := fmt.Sprintf("parley-inventory-%d", os.Getpid())
	q, err := mqueue.Open("/"+unique, mqueue.Config{Create: true, Exclusive: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mqueue.Unlink("/" + unique) })
	segment, pipe := filepath.Join("/dev/shm", unique), filepath.Join(t.TempDir(), "pipe")
	t.Cleanup(func() { _ = os.Remove(segment) })
	if err := errors.Join(q.Close(), os.WriteFile(segment, make([]byte, 4096), 0o600), unix.Mkfifo(pipe, 0o600)); err != nil {
		t.Fatal(err)
	}
	if owner() != uint32(os.Geteuid()) {
		if err := os.Chown(segment, int(owner()), -1); err != nil {
			t.Fatal(err)
		}
	}
	p := proctest.Start(t, "have", "/"+unique, segment, pipe)
	p.Expect("have")
	objects := all(t, Options{})
	for kind, name := range map[string]string{"mqueue": "/" + unique, "shm": segment, "fifo": pipe} {
		if o := find(t, objects, kind, name); o.State != Live || !slices.Equal(o.PIDs, []int{p.Pid()}) || o.Removable() || !errors.Is(o.Remove(), fault.InUse) {
			t.Errorf("%+v", o)
		}
	}
	p.Kill()
	objects = all(t, Options{})
	for kind, name := range map[string]string{"mqueue": "/" + unique, "shm": segment} {
		o := find(t, objects, kind, name)
		if o.State != Orphaned || len(o.PIDs) > 0 || !o.Removable() {
			t.Errorf("%+v", o)
		}
		if err := o.Remove(); err != nil {
			t.Error(err)
		}
		if err := o.Remove(); !errors.Is(err, fault.NotFound) {
			t.Errorf("removed twice: %v", err)
		}
	}
	if slices.ContainsFunc(all(t, Options{}), func(o Object) bool { return strings.Contains(o.Name, unique) }) {
		t.Error("it is still there")
	}
}

// TestRemoveMindsANewFile that has taken the name.
func TestRemoveMindsANewFile(t *testing.T) {
	path := filepath.Join("/dev/shm", fmt.Sprintf("parley-inventory-new-%d", os.Getpid()))
	t.Cleanup(func() { _ = os.Remove(path) })
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o := find(t, all(t, Options{}), "shm", path)
	if err := errors.Join(os.WriteFile(path+"x", nil, 0o600), os.Rename(path+"x", path)); err != nil {
		t.Fatal(err)
	}
	if err := o.Remove(); !errors.Is(err, fault.InUse) {
		t.Error(err)
	}
}

// TestRemoveFollowsNoLink that the owner of a directory puts in its place.
func TestRemoveFollowsNoLink(t *testing.T) {
	dir := filepath.Join("/dev/shm", fmt.Sprintf("parley-inventory-dir-%d", os.Getpid()))
	elsewhere := dir + "-elsewhere"
	t.Cleanup(func() { _, _, _ = os.RemoveAll(dir), os.RemoveAll(elsewhere), os.RemoveAll(dir+"-old") })
	if err := errors.Join(os.Mkdir(dir, 0o700), os.Mkdir(elsewhere, 0o700), os.WriteFile(dir+"/file", nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	st, err := os.Lstat(dir + "/file")
	if err != nil {
		t.Fatal(err)
	}
	key, _ := inodeOf(st)
	if err := errors.Join(os.Link(dir+"/file", elsewhere+"/file"), os.Rename(dir, dir+"-old"), os.Symlink(elsewhere, dir)); err != nil {
		t.Fatal(err)
	}
	if err := removeFile(dir+"/file", key); err == nil {
		t.Error("it followed a link")
	}
	if _, err := os.Lstat(elsewhere + "/file"); err != nil {
		t.Error(err)
	}
	if err := removeFile(dir+"-old/file", key); err != nil {
		t.Errorf("in a directory: %v", err)
	}
}

func TestSystemV(t *testing.T) {
	id, _, errno := unix.Syscall(unix.SYS_SHMGET, 0, 4096, 0o1600)
	if errno != 0 {
		t.Fatal(errno)
	}
	mem, err := unix.SysvShmAttach(int(id), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	name := strconv.Itoa(int(id))
	if o := find(t, all(t, Options{}), "sysv-memory", name); o.State != Live || o.Removable() || o.Size != 4096 {
		t.Errorf("%+v", o)
	}
	if err := unix.SysvShmDetach(mem); err != nil {
		t.Fatal(err)
	}
	o := find(t, all(t, Options{}), "sysv-memory", name)
	if o.State != Orphaned {
		t.Errorf("%+v", o)
	}
	if err := o.Remove(); err != nil {
		t.Error(err)
	}
}

func TestParleysAndSockets(t *testing.T) {
	ctx := t.Context()
	addr, err := endpoint.Parse("unix://inventory")
	if err != nil {
		t.Fatal(err)
	}
	ln, err := unixtransport.Listen(ctx, addr, transport.ListenConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	seg, err := shm.OpenNamed(ctx, "inventory", shm.NamedConfig{Size: 4096})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_, _ = seg.Close(), shm.Unlink(context.WithoutCancel(ctx), "inventory", shm.NamedConfig{}, true)
	}()
	abstract := fmt.Sprintf("@parley-inventory-%d", os.Getpid())
	sock, err := net.Listen("unix", abstract)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sock.Close() }()
	client, err := net.Dial("unix", abstract)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	objects := all(t, Options{})
	if o := find(t, objects, "endpoint", "unix://inventory"); o.State != Live || !o.Parley {
		t.Errorf("%+v", o)
	}
	if o := find(t, objects, "segment", "inventory"); o.State != Live || !o.Parley {
		t.Errorf("%+v", o)
	}
	if o := find(t, objects, "unix-socket", abstract); o.State != Live || !slices.Contains(o.PIDs, os.Getpid()) || o.Detail != "stream, listens, 1 connections" {
		t.Errorf("%+v", o)
	}
	if unnamed := all(t, Options{Unnamed: true}); len(unnamed) <= len(objects) {
		t.Errorf("%d with the unnamed, %d without", len(unnamed), len(objects))
	}
}

func TestParseSockets(t *testing.T) {
	const text = `Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 12345 /run/a b
0000000000000000: 00000003 00000000 00000000 0005 03 12346 @abstract:1
0000000000000000: 00000003 00000000 00000000 0002 01 12347
made up by a name: with a line feed
`
	want := []socket{
		{12345, "stream", true, false, "/run/a b"},
		{12346, "seqpacket", false, true, "@abstract:1"},
		{12347, "datagram", false, false, ""},
	}
	if got := parseSockets(text); !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}

func FuzzSockets(f *testing.F) {
	text, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(text))
	f.Fuzz(func(t *testing.T, text string) {
		if got := parseSockets(text); len(got) > strings.Count(text, "\n")+1 {
			t.Errorf("%d sockets in %q", len(got), text)
		}
	})
}
