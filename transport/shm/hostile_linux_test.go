// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
)

const allSeals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_FUTURE_WRITE

// memory is a hostile peer's idea of a segment.
func memory(t testing.TB, size int64, seals int, holes bool) int {
	t.Helper()
	fd, err := unix.MemfdCreate("hostile", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Ftruncate(fd, size); err != nil {
		t.Fatal(err)
	}
	if !holes {
		if err := unix.Fallocate(fd, 0, 0, size); err != nil {
			t.Fatal(err)
		}
	}
	if seals != 0 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
			t.Fatal(err)
		}
	}
	return fd
}

func openFD(t testing.TB, path string) int {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC|unix.O_CREAT, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

// watched is a listener that echoes, with its log.
type watched struct {
	addr endpoint.Address
	log  *safeBuffer
	l    transport.Listener
}

type safeBuffer struct {
	mu    sync.Mutex
	b     bytes.Buffer
	wrote chan struct{} // one token
}

// await waits until s has been logged.
func (s *safeBuffer) await(t *testing.T, want string) {
	t.Helper()
	late := time.After(10 * time.Second)
	for !strings.Contains(s.String(), want) {
		select {
		case <-s.wrote:
		case <-late:
			t.Fatalf("%q was not logged: %q", want, s)
		}
	}
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.wrote <- struct{}{}:
	default:
	}
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func listenEcho(t *testing.T, cfg ListenConfig) *watched {
	t.Helper()
	addr := endpoint.Address{Scheme: endpoint.SHM, Path: filepath.Join(t.TempDir(), "s")}
	w := &watched{addr: addr, log: &safeBuffer{wrote: make(chan struct{}, 1)}}
	cfg.Logger = slog.New(slog.NewTextHandler(w.log, nil))
	l, err := Listen(t.Context(), addr, cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.l = l
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				_, _ = io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c})
				_ = c.Close()
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return w
}

// serves proves that the listener still serves its next client.
func (w *watched) serves(t *testing.T) {
	t.Helper()
	c, err := Dial(t.Context(), w.addr, DialConfig{})
	if err != nil {
		t.Fatal("the next client: ", err)
	}
	defer func() { _ = c.Close() }()
	if _, err := c.Write([]byte("still here?")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 11)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "still here?" {
		t.Fatalf("the next client got %q, %v", got, err)
	}
}

func (w *watched) dial(t *testing.T) *net.UnixConn {
	t.Helper()
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: w.addr.Path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// hostileHello is what a client does instead of a handshake.
type hostileHello struct {
	bytes  []byte
	fds    func(t *testing.T) []int
	answer status // what it is told, where it is told anything
	told   bool
}

// hostileHellos are the clients of TestHostileClients by name.
func hostileHellos() map[string]hostileHello {
	const size = MinRingSize
	full := int64(segmentSize(size))
	good := hello{version: Version, ring: size}.append(nil)
	sealed := func(t *testing.T) []int { return []int{memory(t, full, allSeals, false)} }
	return map[string]hostileHello{
		"RandomBytes":   {bytes: []byte("GET / HTTP/1.1\r\nHost: parley\r\n\r\n"), answer: statusBroken, told: true},
		"Nothing":       {},
		"Truncated":     {bytes: good[:20], fds: sealed},
		"WrongVersion":  {bytes: hello{version: 7, ring: size}.append(nil), answer: statusVersion, told: true},
		"HugeRing":      {bytes: hello{version: Version, ring: 1 << 31}.append(nil), fds: sealed, answer: statusBroken, told: true},
		"UnevenRing":    {bytes: hello{version: Version, ring: size + 1}.append(nil), fds: sealed, answer: statusBroken, told: true},
		"NoSegment":     {bytes: good, answer: statusBroken, told: true},
		"TwoSegments":   {bytes: good, fds: func(t *testing.T) []int { return append(sealed(t), sealed(t)...) }, answer: statusBroken, told: true},
		"ManyFiles":     {bytes: good, fds: func(t *testing.T) []int { fd := sealed(t)[0]; return bytesOf(fd, 200) }},
		"Unasked":       {bytes: hello{version: Version}.append(nil), fds: sealed, answer: statusBroken, told: true},
		"Unsealed":      {bytes: good, fds: func(t *testing.T) []int { return []int{memory(t, full, 0, false)} }, answer: statusBroken, told: true},
		"NoFutureWrite": {bytes: good, fds: func(t *testing.T) []int { return []int{memory(t, full, allSeals&^unix.F_SEAL_FUTURE_WRITE, false)} }, answer: statusBroken, told: true},
		"NoShrink":      {bytes: good, fds: func(t *testing.T) []int { return []int{memory(t, full, allSeals&^unix.F_SEAL_SHRINK, false)} }, answer: statusBroken, told: true},
		"TooSmall":      {bytes: good, fds: func(t *testing.T) []int { return []int{memory(t, full-4096, allSeals, false)} }, answer: statusBroken, told: true},
		"TooLarge":      {bytes: good, fds: func(t *testing.T) []int { return []int{memory(t, full+4096, allSeals, false)} }, answer: statusBroken, told: true},
		"Pipe": {bytes: good, fds: func(t *testing.T) []int {
			r, _, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			fds, err := descriptors([]*os.File{r})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = r.Close() })
			return fds
		}, answer: statusBroken, told: true},
		"Socket": {bytes: good, fds: func(t *testing.T) []int {
			fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { closeAll(fds[:]) })
			return fds[:1]
		}, answer: statusBroken, told: true},
		"DiskFile":               {bytes: good, fds: func(t *testing.T) []int { return []int{openFD(t, filepath.Join(t.TempDir(), "f"))} }, answer: statusBroken, told: true},
		"Null":                   {bytes: good, fds: func(t *testing.T) []int { return []int{openFD(t, "/dev/null")} }, answer: statusBroken, told: true},
		"Confirm":                {bytes: append(bytes.Clone(good), 'x'), fds: sealed, answer: statusRings, told: true},
		"ConfirmSocketThenNoise": {bytes: append(bytes.Clone(good), 'S', 9, 9, 9, 9, 9, 9, 9, 9), fds: sealed, answer: statusRings, told: true},
	}
}

func TestHostileClients(t *testing.T) {
	for name, c := range hostileHellos() {
		t.Run(name, func(t *testing.T) {
			w := listenEcho(t, ListenConfig{ListenConfig: transport.ListenConfig{HandshakeTimeout: 5 * time.Second}})
			sock := w.dial(t)
			var oob []byte
			if c.fds != nil {
				oob = unix.UnixRights(c.fds(t)...)
			}
			if len(c.bytes) > 0 {
				if _, _, err := sock.WriteMsgUnix(c.bytes, oob, nil); err != nil {
					t.Fatal(err)
				}
			}
			if err := sock.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(sock)
			if err != nil && !isGone(err) {
				t.Error(err)
			}
			if c.told != (len(answer) >= helloSize) {
				t.Fatalf("the answer was %x", answer)
			}
			if c.told {
				if _, st, err := parsePrefix(answer); err != nil || st != c.answer {
					t.Errorf("answered %d, %v; want %d", st, err, c.answer)
				}
			}
			w.serves(t)
			if name != "ConfirmSocketThenNoise" {
				w.log.await(t, "handshake failed")
			}
		})
	}
}

func bytesOf(fd, n int) []int {
	fds := make([]int, n)
	for i := range fds {
		fds[i] = fd
	}
	return fds
}

// A peer whose pages are holes cannot make us fault: we fill them.
func TestHoles(t *testing.T) {
	w := listenEcho(t, ListenConfig{})
	sock := w.dial(t)
	fd := memory(t, int64(segmentSize(MinRingSize)), allSeals, true)
	if _, _, err := sock.WriteMsgUnix(hello{version: Version, ring: MinRingSize}.append(nil), unix.UnixRights(fd), nil); err != nil {
		t.Fatal(err)
	}
	h := &handshake{sock: sock}
	answer, err := h.hear(answerError)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.close()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		t.Fatal(err)
	}
	if st.Blocks*512 < st.Size {
		t.Errorf("%d of %d bytes are reserved", st.Blocks*512, st.Size)
	}
	if err := unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, st.Size); err == nil {
		t.Error("the peer could punch holes into the sealed segment")
	}
	// Nor can it touch what we offer.
	if err := unix.Fallocate(answer.fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, 4096); err == nil {
		t.Error("the peer could punch holes into our segment")
	}
	if _, err := unix.Mmap(answer.fd, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err == nil {
		t.Error("the peer could map our segment for writing")
	}
	if _, err := unix.Pwrite(answer.fd, []byte{1}, 0); err == nil {
		t.Error("the peer could write our segment")
	}
	if err := unix.Ftruncate(answer.fd, 0); err == nil {
		t.Error("the peer could truncate our segment")
	}
	w.serves(t)
}

// One byte now and then does not hold a place for longer than the time limit,
// and meanwhile the others are served.
func TestSlowHandshake(t *testing.T) {
	w := listenEcho(t, ListenConfig{ListenConfig: transport.ListenConfig{HandshakeTimeout: 300 * time.Millisecond}})
	sock := w.dial(t)
	go func() {
		for _, c := range (hello{version: Version}).append(nil) {
			if _, err := sock.Write([]byte{c}); err != nil {
				return
			}
			<-time.After(50 * time.Millisecond)
		}
	}()
	w.serves(t)
	if err := sock.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(sock); err != nil && !isGone(err) {
		t.Errorf("the listener did not hang up: %v", err)
	}
	w.serves(t)
}

// fakeServer answers one client with bytes and descriptors.
func fakeServer(t *testing.T, answer []byte, fds []int) error {
	t.Helper()
	a, b := sockets(t)
	defer func() { _ = b.Close() }()
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	if _, _, err := b.WriteMsgUnix(answer, oob, nil); err != nil {
		t.Fatal(err)
	}
	if err := b.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	id, opts := selfIdentity(t, b), Options{RingSize: MinRingSize, Attach: AtOnce}
	c, err := NewConn(t.Context(), a, id, false, DialConfig{Options: opts})
	if c != nil {
		_ = c.Close()
	}
	return err
}

func TestHostileServers(t *testing.T) {
	full := int64(segmentSize(MinRingSize))
	for name, c := range map[string]struct {
		answer []byte
		fds    []int
		kind   fault.Kind
		text   string
	}{
		"Denied":     {answer: hello{version: Version, status: statusDenied}.append(nil), kind: fault.Denied},
		"DeniedByV9": {answer: hello{version: 9, status: statusDenied}.append(nil), kind: fault.Denied},
		"Version":    {answer: hello{version: 9, status: statusVersion}.append(nil), kind: fault.Protocol, text: "version 9"},
		"Status":     {answer: hello{version: Version, status: 77}.append(nil), kind: fault.Protocol, text: "77"},
		"HTTP":       {answer: []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), kind: fault.Protocol, text: "does not speak"},
		"Truncated":  {answer: hello{version: Version}.append(nil)[:17], kind: fault.PeerDied},
		"Empty":      {kind: fault.PeerDied},
		"Unsealed":   {answer: hello{version: Version, ring: MinRingSize}.append(nil), fds: []int{memory(t, full, 0, false)}, kind: fault.Protocol, text: "seals"},
		"Short":      {answer: hello{version: Version, ring: MinRingSize}.append(nil), fds: []int{memory(t, full/2, allSeals, false)}, kind: fault.Protocol, text: "bytes"},
		"NoSegment":  {answer: hello{version: Version, ring: MinRingSize}.append(nil), kind: fault.Protocol, text: "descriptors"},
	} {
		t.Run(name, func(t *testing.T) {
			err := fakeServer(t, c.answer, c.fds)
			if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v; want %v with %q", err, c.kind, c.text)
			}
		})
	}
	if used := DefaultBudget.Used(); used != 0 {
		t.Errorf("%d bytes of the budget are lost", used)
	}
}

func TestDialTimeout(t *testing.T) {
	a, b := sockets(t)
	defer func() { _ = b.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := NewConn(ctx, a, selfIdentity(t, b), false, DialConfig{}); !errors.Is(err, fault.Timeout) {
		t.Errorf("a listener that says nothing: %v", err)
	}
}
