// SPDX-License-Identifier: Apache-2.0

package cell_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/primitive/cell"
	"github.com/parley-ipc/parley/primitive/shm"
)

// sampleSize is a segment for a cell of one sample, in whole pages.
func sampleSize() int {
	n, err := cell.Size[sample]()
	if err != nil {
		panic(err)
	}
	page := os.Getpagesize()
	return (n + page - 1) / page * page
}

// unsealed is a segment that a child may still map for writing.
func unsealed(t testing.TB) *shm.Segment {
	t.Helper()
	s, err := shm.Create("cell", sampleSize())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// file is the segment's, for a child.
func file(t testing.TB, s *shm.Segment) *os.File {
	t.Helper()
	fd, err := unix.FcntlInt(uintptr(s.FD()), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "cell")
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// mapped opens the sealed segment fd as any reader does. It is never unmapped
// in a child, which ends soon.
func mapped(fd int) (*cell.Reader[sample], *shm.Mapping, error) {
	s, err := shm.Receive(fd, sampleSize())
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = s.Close() }()
	m, err := s.MapTwice(0, false)
	if err != nil {
		return nil, nil, err
	}
	r, err := cell.Open[sample](m.Tail[:s.Size()], cell.Config{})
	return r, m, err
}

// setRole makes a cell in descriptor 3, and sets it as fast as it can from
// the first line it hears to the next.
func setRole(p *proctest.Self) error {
	mem, err := unix.Mmap(3, 0, sampleSize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	start, err := strconv.ParseUint(p.Args[0], 10, 64)
	if err != nil {
		return err
	}
	w, err := cell.NewAt[sample](mem, cell.Config{NoWatch: true}, start)
	if err != nil {
		return err
	}
	p.Say("ready")
	if _, err := p.Hear(); err != nil {
		return err
	}
	stop := make(chan struct{})
	go func() { _, _ = p.Hear(); close(stop) }()
	for n := uint64(1); ; n++ {
		w.Set(sampleOf(start + n))
		if n == 1 {
			p.Say("going")
		}
		select {
		case <-stop:
			p.Sayf("%d", n)
			return nil
		default:
		}
	}
}

// getRole gets for as long as it is told, and checks what it gets.
func getRole(p *proctest.Self) error {
	r, _, err := mapped(3)
	if err != nil {
		return err
	}
	p.Say("ready")
	if _, err := p.Hear(); err != nil {
		return err
	}
	stop := make(chan struct{})
	go func() { _, _ = p.Hear(); close(stop) }()
	last, changes, overtaken := uint64(0), 0, 0
	for n := 1; ; n++ {
		v, seq, ok := r.Get()
		switch {
		case !ok && seq == 0: // the writer has not begun
		case !ok:
			overtaken++
		case v.torn():
			return fmt.Errorf("torn at %d: %v", seq, v)
		case seq < last && last-seq < 1<<63:
			return fmt.Errorf("back from %d to %d", last, seq)
		}
		if ok && seq != last {
			changes, last = changes+1, seq
		}
		select {
		case <-stop:
			p.Sayf("gets %d changes %d overtaken %d", n, changes, overtaken)
			return nil
		default:
		}
	}
}

// TestTornAcrossProcesses hunts for a torn value between a writer that never
// rests and two readers.
func TestTornAcrossProcesses(t *testing.T) {
	for _, start := range []string{"0", "4294960000", "18446744073709550000"} {
		s := unsealed(t)
		w := proctest.StartWith(t, proctest.Options{Role: "set", Args: []string{start}, ExtraFiles: []*os.File{file(t, s)}})
		w.Expect("ready")
		if err := s.Seal(); err != nil {
			t.Fatal(err)
		}
		var readers []*proctest.Process
		for range 2 {
			r := proctest.StartWith(t, proctest.Options{Role: "get", ExtraFiles: []*os.File{file(t, s)}})
			r.Expect("ready")
			readers = append(readers, r)
		}
		for _, p := range append(readers, w) {
			p.Say("go")
		}
		w.Expect("going")
		<-time.After(600 * time.Millisecond) // for as long as this is the hunt
		for _, r := range readers {
			r.Say("stop")
			var gets, changes, overtaken int
			if _, err := fmt.Sscanf(r.Hear(), "gets %d changes %d overtaken %d", &gets, &changes, &overtaken); err != nil {
				t.Fatal(err)
			}
			t.Logf("from %s: %d gets, %d values, %d overtaken", start, gets, changes, overtaken)
			if changes < 2 || overtaken > gets/100 {
				t.Errorf("%d gets saw %d values and were overtaken %d times", gets, changes, overtaken)
			}
			if err := r.Wait(); err != nil {
				t.Error(err)
			}
		}
		w.Say("stop")
		t.Logf("%s sets", w.Hear())
	}
}

// seeded returns the numbers of a run that PARLEY_SEED repeats.
func seeded(t *testing.T) *rand.Rand {
	seed, err := strconv.ParseUint(os.Getenv("PARLEY_SEED"), 10, 64)
	if err != nil {
		seed = rand.Uint64()
	}
	t.Logf("PARLEY_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 3))
}

// TestKilledWriter kills writers in the middle of what they do: the value that
// was published last is whole, and stays.
func TestKilledWriter(t *testing.T) {
	kills, err := strconv.Atoi(os.Getenv("PARLEY_KILLS"))
	if err != nil {
		kills = 8
	}
	rnd, half := seeded(t), 0
	for range kills {
		s := unsealed(t)
		w := proctest.StartWith(t, proctest.Options{Role: "set", Args: []string{"0"}, ExtraFiles: []*os.File{file(t, s)}})
		w.Expect("ready")
		if err := s.Seal(); err != nil {
			t.Fatal(err)
		}
		fd, err := unix.FcntlInt(uintptr(s.FD()), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		r, m, err := mapped(fd)
		if err != nil {
			t.Fatal(err)
		}
		w.Say("go")
		w.Expect("going")
		<-time.After(time.Duration(rnd.IntN(3000)) * time.Microsecond)
		w.Kill()
		v, seq, ok := r.Get()
		if !ok || seq == 0 || v != sampleOf(seq) {
			t.Errorf("sequence %d, %v, torn: %v: %v", seq, ok, v.torn(), v)
		}
		if again, n, ok := r.Get(); again != v || n != seq || !ok {
			t.Errorf("then sequence %d, %v", n, ok)
		}
		if slot := r.Slot(); slot[0] != slot[len(sample{})-1] {
			half++
		}
		_ = r.Close()
		_ = m.Unmap()
	}
	t.Logf("%d of %d were killed within a Set", half, kills)
}

// watchRole says each value that it sees.
func watchRole(p *proctest.Self) error {
	r, _, err := mapped(3)
	if err != nil {
		return err
	}
	for after := uint64(0); ; {
		v, seq, err := r.Watch(context.Background(), after)
		if errors.Is(err, io.EOF) {
			p.Sayf("end late %d", r.Late())
			return nil
		}
		if err != nil {
			return err
		}
		p.Sayf("%d %v", v[0], v.torn())
		after = seq
	}
}

func TestWatchAcrossProcesses(t *testing.T) {
	s := unsealed(t)
	m, err := s.MapTwice(0, true)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Unmap() }()
	w, err := cell.New[sample](m.Tail[:s.Size()], cell.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Seal(); err != nil {
		t.Fatal(err)
	}
	var watchers []*proctest.Process
	for range 2 {
		watchers = append(watchers, proctest.StartWith(t, proctest.Options{Role: "watch", ExtraFiles: []*os.File{file(t, s)}}))
	}
	for n := uint64(1); n <= 100; n++ {
		w.Set(sampleOf(n))
		for _, p := range watchers {
			p.Expect(fmt.Sprintf("%d false", n))
		}
	}
	_ = w.Close()
	for _, p := range watchers {
		if got := p.Hear(); !strings.HasPrefix(got, "end late 0") {
			t.Errorf("at the end: %q", got)
		}
	}
}
