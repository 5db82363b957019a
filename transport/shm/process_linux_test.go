// SPDX-License-Identifier: Apache-2.0

package shm_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/transport/shm"
)

const testRing = shm.MinRingSize

// noise is an endless stream of bytes that both sides can compute.
type noise struct{ *rand.ChaCha8 }

func newNoise(seed uint64) noise {
	var key [32]byte
	key[0], key[1], key[2], key[3] = byte(seed), byte(seed>>8), byte(seed>>16), byte(seed>>24)
	return noise{rand.NewChaCha8(key)}
}

func (n noise) bytes(k int) []byte {
	b := make([]byte, k)
	_, _ = n.Read(b)
	return b
}

// pour writes total bytes of noise in pieces of random sizes up to 3 rings.
func pour(w io.Writer, seed uint64, total int) error {
	content, sizes := newNoise(seed), rand.New(rand.NewPCG(seed, 1))
	for total > 0 {
		n := min(sizes.IntN(3*testRing+1), total)
		if sizes.IntN(2) == 0 {
			n = min(n, sizes.IntN(200))
		}
		if _, err := w.Write(content.bytes(n)); err != nil {
			return err
		}
		total -= n
	}
	return nil
}

// drink reads until the end and checks every byte; it returns how many came.
func drink(r io.Reader, seed uint64) (int, error) {
	content, sizes := newNoise(seed), rand.New(rand.NewPCG(seed, 2))
	buf, total := make([]byte, 3*testRing), 0
	for {
		n, err := r.Read(buf[:1+sizes.IntN(len(buf))])
		if want := content.bytes(n); string(want) != string(buf[:n]) {
			return total, fmt.Errorf("wrong bytes after %d", total)
		}
		total += n
		if err != nil {
			if err == io.EOF {
				err = nil
			}
			return total, err
		}
	}
}

// options takes a spin with "lazy " before it for rings on traffic.
func options(spin string, start uint64) shm.Options {
	spin, lazy := strings.CutPrefix(spin, "lazy ")
	attach := shm.AtOnce
	if lazy {
		attach = shm.OnTraffic
	}
	return shm.Options{Attach: attach, RingSize: testRing, Spin: spins[spin], Budget: new(shm.Budget)}.WithStart(start).WithSafety(2 * time.Second).Within(time.Hour)
}

// exchangeRole dials Args[0] and pours and drinks at once, for ever if Args[3]
// is 0.
func exchangeRole(p *proctest.Self) error {
	start, err1 := strconv.ParseUint(p.Args[2], 10, 64)
	total, err2 := strconv.Atoi(p.Args[3])
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	addr, err := endpoint.Parse(p.Args[0])
	if err != nil {
		return err
	}
	c, err := shm.Dial(context.Background(), addr, shm.DialConfig{Options: options(p.Args[1], start)})
	if err != nil {
		return err
	}
	if total == 0 {
		total = math.MaxInt
	}
	err = exchange(c, 2, 1, total)
	if n := c.Counters().SafetyTimeouts.Load(); n != 0 {
		return fmt.Errorf("%d safety time-outs", n)
	}
	return errors.Join(err, c.Close())
}

// exchange pours one stream and drinks another at the same time.
func exchange(c *shm.Conn, out, in uint64, total int) error {
	var wg sync.WaitGroup
	var werr error
	wg.Go(func() {
		if werr = pour(c, out, total); werr == nil {
			werr = c.CloseWrite()
		}
	})
	n, rerr := drink(c, in)
	wg.Wait()
	if rerr == nil && werr == nil && n != total {
		return fmt.Errorf("%d bytes came, not %d", n, total)
	}
	return errors.Join(rerr, werr)
}

// peer starts a process in exchangeRole and returns our end.
func peer(t testing.TB, spin string, start uint64, total int, env ...string) (*shm.Conn, *proctest.Process) {
	t.Helper()
	addr := endpoint.Address{Scheme: endpoint.SHM, Path: filepath.Join(t.TempDir(), "s")}
	l, err := shm.Listen(t.Context(), addr, shm.ListenConfig{Options: options(spin, start)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	p := proctest.StartWith(t, proctest.Options{Role: "exchange", Args: []string{addr.String(), spin, strconv.FormatUint(start, 10), strconv.Itoa(total)}, Env: env})
	c, err := l.AcceptConn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c.(*shm.Conn), p
}

func TestTwoProcessesByteByByte(t *testing.T) {
	for _, tc := range []struct {
		name, spin string
		start      uint64
		env        []string
	}{
		{name: "Auto", spin: "auto"},
		{name: "Off", spin: "off"},
		{name: "Always", spin: "always"},
		{name: "Near2to32", spin: "auto", start: 1<<32 - 12345},
		{name: "Near2to64", spin: "auto", start: 1<<64 - 12345},
		{name: "Lazy", spin: "lazy auto"},
		{name: "LazyOff", spin: "lazy off"},
		{name: "LazyNear2to64", spin: "lazy auto", start: 1<<64 - 12345},
		{name: "LazyOneProcessor", spin: "lazy auto", env: []string{"GOMAXPROCS=1"}},
		{name: "OneProcessor", spin: "auto", env: []string{"GOMAXPROCS=1"}},
		{name: "OneProcessorAlways", spin: "always", env: []string{"GOMAXPROCS=1"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			const total = 8 << 20
			c, p := peer(t, tc.spin, tc.start, total, tc.env...)
			if err := exchange(c, 1, 2, total); err != nil {
				t.Error(err)
			}
			if err := p.Wait(); err != nil {
				t.Error(err)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			if !c.Rings() {
				t.Error("no rings")
			}
			n := c.Counters()
			if n.BytesIn.Load() != total || n.BytesOut.Load() != total {
				t.Errorf("counted %d and %d bytes, not %d", n.BytesIn.Load(), n.BytesOut.Load(), total)
			}
			if s := n.SafetyTimeouts.Load(); s != 0 {
				t.Errorf("%d safety time-outs: a wake-up was lost", s)
			}
			if tc.spin == "off" && (n.Sleeps.Load() == 0 || n.Wakes.Load() == 0 || n.Spins.Load() != 0) {
				t.Errorf("spins %d, sleeps %d, wakes %d with Spin: Off", n.Spins.Load(), n.Sleeps.Load(), n.Wakes.Load())
			}
		})
	}
}

// modes are how the connections of tests wait, and get their rings.
var modes = []string{"auto", "lazy off", "off", "lazy auto"}

// inventory is what a connection may leave behind.
type inventory struct{ files, maps, goroutines int }

func takeInventory(t testing.TB) inventory {
	t.Helper()
	names, err1 := proctest.OpenFiles()
	_, maps, err2 := proctest.Held("memfd:parley-ring")
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	files := 0
	for _, name := range names { // a child's pipes stay until the test ends
		if name != "" && !strings.HasPrefix(name, "pipe:") {
			files++
		}
	}
	return inventory{files, maps, runtime.NumGoroutine()}
}

// settled waits until nothing more than before is there.
func (before inventory) settled(t testing.TB) {
	t.Helper()
	limit := time.Now().Add(10 * time.Second)
	for {
		now := takeInventory(t)
		if now.files <= before.files && now.maps <= before.maps && now.goroutines <= before.goroutines {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("before: %+v, now: %+v", before, now)
		}
		runtime.Gosched()
	}
}

func seed(t *testing.T) uint64 {
	t.Helper()
	s := rand.Uint64()
	if v := os.Getenv("PARLEY_SEED"); v != "" {
		var err error
		if s, err = strconv.ParseUint(v, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("PARLEY_SEED=%d repeats this", s)
	return s
}

func kills(t *testing.T) int {
	t.Helper()
	v := os.Getenv("PARLEY_KILLS")
	if v == "" {
		return 50
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// killAfter passes bytes on, and kills a process in the middle of one.
type killAfter struct {
	io.Reader
	left int
	kill func()
}

func (k *killAfter) Read(p []byte) (int, error) {
	n, err := k.Reader.Read(p[:min(len(p), max(k.left, 1<<10))])
	if k.left > 0 && k.left <= n {
		k.kill()
	}
	k.left = max(0, k.left-n)
	return n, err
}

// A peer killed at any instant: what it had published arrives intact, then
// comes an error that says so, for the reader and for the writer, in time.
func TestKilledPeer(t *testing.T) {
	rnd := rand.New(rand.NewPCG(seed(t), 3))
	before := takeInventory(t)
	for i := range kills(t) {
		mode := modes[i%len(modes)]
		c, p := peer(t, mode, 0, 0)
		var died time.Time
		var once sync.Once
		kill := func() { once.Do(func() { died = time.Now(); p.Kill() }) }
		var wg sync.WaitGroup
		var werr error
		wg.Go(func() { werr = pour(c, 1, math.MaxInt) })
		_, rerr := drink(&killAfter{c, 1 + rnd.IntN([]int{40, 4}[i/2%2]*testRing), kill}, 2)
		took := time.Since(died)
		wg.Wait()
		if !errors.Is(rerr, fault.PeerDied) || !errors.Is(rerr, io.ErrUnexpectedEOF) {
			t.Fatalf("kill %d: reading: %v", i, rerr)
		}
		onSocket := strings.HasPrefix(mode, "lazy") && errors.Is(werr, unix.EPIPE) // where a writer cannot tell how its peer ended
		if !errors.Is(werr, fault.PeerDied) || !errors.Is(werr, io.ErrUnexpectedEOF) && !onSocket {
			t.Fatalf("kill %d: writing: %v", i, werr)
		}
		if took > 2*time.Second {
			t.Errorf("kill %d was noticed after %v", i, took)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	before.settled(t)
}

// A peer that is stopped is not dead: waits keep to their deadlines, and when
// it goes on nothing is missing.
func TestStoppedPeer(t *testing.T) {
	t.Run("AtOnce", func(t *testing.T) { stoppedPeer(t, "auto") })
	t.Run("Lazy", func(t *testing.T) { stoppedPeer(t, "lazy auto") })
}

func stoppedPeer(t *testing.T, mode string) {
	const total = 4 << 20
	c, p := peer(t, mode, 0, total)
	p.Signal(unix.SIGSTOP)
	if err := c.SetDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	w := &resumable{c: c}
	if err := pour(w, 1, total); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("writing to a stopped peer: %v", err)
	}
	if err := c.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	p.Signal(unix.SIGCONT)
	var wg sync.WaitGroup
	var werr error
	wg.Go(func() {
		w.skip, w.done = w.done, 0
		if werr = pour(w, 1, total); werr == nil {
			werr = c.CloseWrite()
		}
	})
	n, err := drink(c, 2)
	wg.Wait()
	if err != nil || werr != nil || n != total {
		t.Errorf("%d bytes of %d; %v; %v", n, total, err, werr)
	}
	if err := p.Wait(); err != nil {
		t.Error(err)
	}
	_ = c.Close()
}

// resumable skips what has been written before.
type resumable struct {
	c          io.Writer
	skip, done int
}

func (r *resumable) Write(p []byte) (int, error) {
	k := min(r.skip, len(p))
	r.skip -= k
	n, err := r.c.Write(p[k:])
	r.done += k + n
	return k + n, err
}
