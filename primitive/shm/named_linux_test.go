// SPDX-License-Identifier: Apache-2.0

package shm_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/primitive/filelock"
	"github.com/parley-ipc/parley/primitive/shm"
)

// open opens a name of the test's own.
func open(t *testing.T, name string, c shm.NamedConfig) *shm.Named {
	t.Helper()
	n, err := shm.OpenNamed(t.Context(), name, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close(); unlink(name, c.Kind) })
	return n
}

// unlink leaves no name for the next run in the same directory.
func unlink(name, kind string) {
	_ = shm.Unlink(context.Background(), name, shm.NamedConfig{Kind: kind}, true)
}

func refused(t *testing.T, want error, name string, c shm.NamedConfig) error {
	t.Helper()
	n, err := shm.OpenNamed(t.Context(), name, c)
	if err == nil {
		_ = n.Close()
	}
	if !errors.Is(err, want) {
		t.Errorf("open %s: %v, want %v", name, err, want)
	}
	return err
}

func info(t *testing.T, name string) (shm.NamedInfo, bool) {
	t.Helper()
	infos, err := shm.ListNamed(t.Context(), shm.NamedOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range infos {
		if i.Name == name {
			return i, true
		}
	}
	return shm.NamedInfo{}, false
}

func TestNamedIsTheSameMemory(t *testing.T) {
	inits := 0
	c := shm.NamedConfig{Size: 1000, Init: func(b []byte) error {
		inits++
		b[999] = 7
		return nil
	}}
	a, b := open(t, "same", c), open(t, "same", c)
	r := open(t, "same", shm.NamedConfig{ReadOnly: true})
	if !a.Created() || b.Created() || r.Created() || inits != 1 {
		t.Errorf("created: %v, %v, %v; %d inits", a.Created(), b.Created(), r.Created(), inits)
	}
	copy(a.Bytes(), "hello")
	for name, n := range map[string]*shm.Named{"second": b, "read-only": r} {
		if got := n.Bytes(); string(got[:5]) != "hello" || got[999] != 7 || len(got) != 1000 {
			t.Errorf("%s: %q, %d, %d bytes", name, got[:5], got[999], len(got))
		}
	}
	if st, err := os.Stat(a.Path()); err != nil || st.Mode() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	for _, n := range []*shm.Named{a, b, r, a} {
		if err := n.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	later := open(t, "same", shm.NamedConfig{})
	if string(later.Bytes()[:5]) != "hello" {
		t.Error("it did not outlast its users")
	}
}

func TestNamedKindsAreApart(t *testing.T) {
	a := open(t, "apart", shm.NamedConfig{Kind: "cell", Size: 8})
	b := open(t, "apart", shm.NamedConfig{Kind: "mutex", Size: 8})
	a.Bytes()[0] = 1
	if b.Bytes()[0] != 0 {
		t.Error("two kinds are one memory")
	}
}

func TestNamedRefuses(t *testing.T) {
	_ = open(t, "there", shm.NamedConfig{Size: 64})
	for _, c := range []struct {
		want error
		name string
		c    shm.NamedConfig
	}{
		{fault.NotFound, "absent", shm.NamedConfig{}},
		{fault.NotFound, "absent", shm.NamedConfig{Size: 64, OpenOnly: true}},
		{fault.NotFound, "absent", shm.NamedConfig{Size: 64, ReadOnly: true}},
		{fault.InUse, "there", shm.NamedConfig{Size: 64, New: true}},
		{fault.Invalid, "there", shm.NamedConfig{Size: 65}},
		{fault.Invalid, "there", shm.NamedConfig{Size: -1}},
		{fault.Invalid, "there", shm.NamedConfig{Size: 64, Kind: "a.b"}},
		{fault.Invalid, "there", shm.NamedConfig{Size: 64, Kind: "sixteenletterslo"}},
		{fault.Invalid, "../there", shm.NamedConfig{Size: 64}},
		{fault.Invalid, "", shm.NamedConfig{Size: 64}},
		{fault.Invalid, "@there", shm.NamedConfig{Size: 64}},
		{fault.Invalid, "wide", shm.NamedConfig{Size: 64, Mode: 0o666}}, // nobody can reach in
		{fault.Invalid, "wide", shm.NamedConfig{Size: 64, Mode: 0o622}},
		{fault.Invalid, "new", shm.NamedConfig{New: true}},
		{fault.TooLarge, strings.Repeat("n", 250), shm.NamedConfig{Size: 64}},
		{fault.NotFound, "no-such-user@there", shm.NamedConfig{}},
	} {
		_ = refused(t, c.want, c.name, c.c)
	}
	if _, ok := info(t, "wide"); ok {
		t.Error("what was refused is there")
	}
}

// What stands in the way is neither followed, waited for, nor destroyed.
func TestNamedInTheWay(t *testing.T) {
	dir := filepath.Dir(open(t, "way", shm.NamedConfig{Size: 8}).Path())
	victim := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := func(name string) string { return filepath.Join(dir, name+".segment.seg") }
	write := func(name string, b []byte) error { return os.WriteFile(path(name), b, 0o600) }
	magicOnly := append([]byte("parleySG"), make([]byte, 5000)...)
	for name, c := range map[string]struct {
		make error
		want error
	}{
		"link":    {os.Symlink(victim, path("link")), fault.Denied},
		"hard":    {os.Link(victim, path("hard")), nil},
		"fifo":    {syscall.Mkfifo(path("fifo"), 0o600), fault.Protocol},
		"dir":     {os.Mkdir(path("dir"), 0o700), nil},
		"text":    {write("text", []byte("some text of somebody")), fault.Protocol},
		"version": {write("version", magicOnly), fault.Protocol},
		"short":   {write("short", append(shm.OldHeader("segment", 8), 1)), fault.Protocol},
		"other":   {write("other", append(shm.OldHeader("segment", 8), make([]byte, 80)...)), fault.Protocol},
	} {
		if c.make != nil {
			if errors.Is(c.make, syscall.EXDEV) {
				continue
			}
			t.Fatal(name, c.make)
		}
		for _, config := range []shm.NamedConfig{{Size: 8}, {}, {ReadOnly: true}} {
			n, err := shm.OpenNamed(t.Context(), name, config)
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
			if err == nil {
				_ = n.Close()
			}
		}
		if i, ok := info(t, name); !ok || i.Err == nil {
			t.Errorf("%s is listed as %+v", name, i)
		}
		if err := os.Remove(path(name)); err != nil {
			t.Errorf("%s: it is gone: %v", name, err)
		}
	}
	if b, err := os.ReadFile(victim); string(b) != "precious" {
		t.Errorf("the victim: %q, %v", b, err)
	}
}

// An earlier boot's segment counts as not there: nobody reads from it, and who
// makes the name begins with zeros.
func TestNamedOfAnEarlierBoot(t *testing.T) {
	dir := filepath.Dir(open(t, "boot", shm.NamedConfig{Size: 8}).Path())
	old := append(shm.OldHeader("segment", 8), "old news"...)
	if err := os.WriteFile(filepath.Join(dir, "old.segment.seg"), old, 0o600); err != nil {
		t.Fatal(err)
	}
	if i, ok := info(t, "old"); !ok || !i.Stale || i.Err != nil {
		t.Errorf("listed as %+v", i)
	}
	_ = refused(t, fault.NotFound, "old", shm.NamedConfig{})
	n := open(t, "old", shm.NamedConfig{Size: 8})
	if !n.Created() || !bytes.Equal(n.Bytes(), make([]byte, 8)) {
		t.Errorf("created %v: %q", n.Created(), n.Bytes())
	}
	if i, _ := info(t, "old"); i.Stale || !i.Used {
		t.Errorf("listed as %+v", i)
	}
}

func TestNamedInitFails(t *testing.T) {
	broken := errors.New("broken on purpose")
	c := shm.NamedConfig{Size: 8, Init: func(b []byte) error { b[0] = 1; return broken }}
	_ = refused(t, broken, "broken", c)
	if _, ok := info(t, "broken"); ok {
		t.Error("it is there, half-made")
	}
	t.Cleanup(func() { unlink("broken", "") })
	if n := open(t, "broken", shm.NamedConfig{Size: 8}); n.Bytes()[0] != 0 {
		t.Error("what a failed Init wrote is there")
	}
}

func TestNamedUnlink(t *testing.T) {
	n := open(t, "unlink", shm.NamedConfig{Size: 8})
	if err := shm.Unlink(t.Context(), "unlink", shm.NamedConfig{}, false); !errors.Is(err, fault.InUse) {
		t.Errorf("while it is open: %v", err)
	}
	if !n.Current() {
		t.Error("not current")
	}
	if err := shm.Unlink(t.Context(), "unlink", shm.NamedConfig{}, true); err != nil {
		t.Errorf("by force: %v", err)
	}
	if n.Current() {
		t.Error("current after it was removed")
	}
	again := open(t, "unlink", shm.NamedConfig{Size: 8})
	n.Bytes()[0] = 1
	if again.Bytes()[0] != 0 || !again.Created() || n.Current() || !again.Current() {
		t.Error("the new one is the old one")
	}
	_ = again.Close()
	if err := shm.Unlink(t.Context(), "unlink", shm.NamedConfig{}, false); err != nil {
		t.Errorf("while nobody has it open: %v", err)
	}
	if err := shm.Unlink(t.Context(), "unlink", shm.NamedConfig{}, false); !errors.Is(err, fault.NotFound) {
		t.Errorf("once it is gone: %v", err)
	}
}

func TestNamedOwner(t *testing.T) {
	a, b := open(t, "owner", shm.NamedConfig{Size: 8}), open(t, "owner", shm.NamedConfig{Size: 8})
	if err := a.Owner().TryLock(filelock.Exclusive); err != nil {
		t.Fatal(err)
	}
	if err := b.Owner().TryLock(filelock.Exclusive); !errors.Is(err, fault.InUse) {
		t.Errorf("two owners: %v", err)
	}
	if i, _ := info(t, "owner"); !i.Owned || !i.Used || i.PID != os.Getpid() || i.Size != 8 || i.Kind != "segment" {
		t.Errorf("listed as %+v", i)
	}
	_ = a.Close()
	if err := b.Owner().TryLock(filelock.Exclusive); err != nil {
		t.Errorf("after the owner has gone: %v", err)
	}
}

// Whoever may write to the file may cut it short under our hands. That is an
// error and not the end of us.
func TestNamedCutShort(t *testing.T) {
	proctest.NeedsKernel(t, "tells no address of a SIGBUS")
	n := open(t, "cut", shm.NamedConfig{Size: 3 * os.Getpagesize()})
	r := open(t, "cut", shm.NamedConfig{ReadOnly: true})
	if err := os.Truncate(n.Path(), 8192); err != nil {
		t.Fatal(err)
	}
	end := 2*os.Getpagesize() + 5
	if err := n.Do(func() { n.Bytes()[end] = 1 }); !errors.Is(err, fault.Protocol) {
		t.Errorf("writing: %v", err)
	}
	if err := n.Do(func() { shm.Uint64(n.Bytes(), end+3).Add(1) }); !errors.Is(err, fault.Protocol) {
		t.Errorf("atomically: %v", err)
	}
	sum := 0
	read := func() {
		for _, b := range r.Bytes() {
			sum += int(b)
		}
	}
	if err := r.Do(read); !errors.Is(err, fault.Protocol) {
		t.Errorf("reading: %v, %d", err, sum)
	}
	_ = refused(t, fault.Protocol, "cut", shm.NamedConfig{})
	if err := shm.Unlink(t.Context(), "cut", shm.NamedConfig{}, true); err != nil {
		t.Errorf("it cannot be removed: %v", err)
	}
}

// Other panics are not ours to swallow.
func TestNamedOtherPanics(t *testing.T) {
	n := open(t, "panics", shm.NamedConfig{Size: 8})
	defer func() {
		if p := recover(); p != "mine" {
			t.Errorf("recovered %v", p)
		}
	}()
	_ = n.Do(func() { panic("mine") })
}

// A maker that is stopped, and not dead, makes others wait no longer than they
// said.
func TestNamedPatience(t *testing.T) {
	inInit, leave, done := make(chan bool), make(chan bool), make(chan error)
	go func() {
		n, err := shm.OpenNamed(context.Background(), "slow", shm.NamedConfig{Size: 8, Init: func([]byte) error {
			close(inInit)
			<-leave
			return nil
		}})
		if err == nil {
			err = n.Close()
		}
		done <- err
	}()
	<-inInit
	for _, c := range []shm.NamedConfig{{Size: 8}, {}, {ReadOnly: true}} {
		c.Patience = 20 * time.Millisecond
		_ = refused(t, fault.Timeout, "slow", c)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := shm.OpenNamed(ctx, "slow", shm.NamedConfig{}); !errors.Is(err, fault.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if i, _ := info(t, "slow"); i.Stale || !i.Used {
		t.Errorf("listed as %+v", i)
	}
	close(leave)
	if err := <-done; err != nil {
		t.Error(err)
	}
	_ = open(t, "slow", shm.NamedConfig{})
}

func TestNamedLeaksNothing(t *testing.T) {
	warm := open(t, "leak", shm.NamedConfig{Size: 8})
	before, maps := proctest.Descriptors(t), mappedNames(t)
	for range 20 {
		n := open(t, "leak", shm.NamedConfig{Size: 8})
		_ = n.Close()
		_ = refused(t, fault.Invalid, "leak", shm.NamedConfig{Size: 9})
		_ = refused(t, fault.NotFound, "leak-not", shm.NamedConfig{})
		_ = warm
	}
	if now := proctest.Descriptors(t); now > before {
		t.Errorf("%d descriptors before, %d after", before, now)
	}
	if now := mappedNames(t); now > maps {
		t.Errorf("%d mappings before, %d after", maps, now)
	}
}

func mappedNames(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(text), ".seg\n")
}

// All of it is reserved: what a hole would cost is paid when it is made.
func TestNamedIsReserved(t *testing.T) {
	n := open(t, "reserved", shm.NamedConfig{Size: 1 << 20})
	var st unix.Stat_t
	if err := unix.Stat(n.Path(), &st); err != nil || st.Blocks*512 < 1<<20 {
		t.Errorf("%d bytes are reserved, %v", st.Blocks*512, err)
	}
}

func FuzzNamedHeader(f *testing.F) {
	f.Add(shm.OldHeader("segment", 8), int64(4104))
	f.Add([]byte("parleySG"), int64(8))
	f.Add([]byte{}, int64(0))
	f.Fuzz(func(_ *testing.T, b []byte, length int64) {
		_ = shm.Decode(b, length)
		_ = shm.Decode(b[:min(len(b), 4096)], 4096+8)
	})
}

func BenchmarkNamedDo(b *testing.B) {
	n, err := shm.OpenNamed(b.Context(), "bench", shm.NamedConfig{Size: 64})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = n.Close() }()
	w := shm.Uint64(n.Bytes(), 0)
	for b.Loop() {
		if err := n.Do(func() { w.Add(1) }); err != nil {
			b.Fatal(err)
		}
	}
}
