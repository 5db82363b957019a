// SPDX-License-Identifier: Apache-2.0

package message

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/shm"
)

// sealed is memory that says what.
func sealed(t testing.TB, size int, what string) *shm.Memory {
	t.Helper()
	m, err := shm.NewMemory("message-test", size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	b, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	copy(b, what)
	if err := m.Seal(); err != nil {
		t.Fatal(err)
	}
	return m
}

// memfd is a peer's memory file.
func memfd(t testing.TB, size int64, seals int) *os.File {
	t.Helper()
	fd, err := unix.MemfdCreate("peer", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "peer")
	t.Cleanup(func() { _ = f.Close() })
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		t.Fatal(err)
	}
	return f
}

const (
	fixed  = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
	frozen = fixed | unix.F_SEAL_WRITE
)

// memoryFrame is preface and frame of a peer who says size.
func memoryFrame(length uint32, files uint16, size uint64, p string) []byte {
	b := appendHeader(appendPreface(nil), header{length: length, kind: kindMemory, files: files})
	return append(binary.LittleEndian.AppendUint64(b, size), p...)
}

func received(t *testing.T, cfg Config, b []byte, files ...*os.File) (*Conn, *Message, error) {
	t.Helper()
	c := conn(t, &passing{script: []part{{b, files}}}, cfg)
	m, err := c.Receive(t.Context())
	return c, m, err
}

func TestGoldenMemoryV1(t *testing.T) {
	want := transcript(t, "testdata/v1-memory.hex")
	c := &passing{}
	a := NewConn(c, Config{})
	if err := a.SendMemory(t.Context(), sealed(t, 12288, ""), []byte("frame 7")); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	var got []byte
	at := -1
	for _, s := range c.sent {
		if len(s.files) > 0 {
			at = len(got)
		}
		got = append(got, s.p...)
	}
	if string(got) != string(want) || at != prefaceSize {
		t.Fatalf("written, the file with byte %d:\n%x\nwant, with byte 8:\n%x", at, got, want)
	}
	b, m, err := received(t, Config{}, want[prefaceSize:], memfd(t, 12288, frozen))
	if err == nil {
		t.Fatalf("without a preface: %q", m.Bytes())
	}
	_ = b.Close()
	b = conn(t, &passing{script: []part{{want[:prefaceSize], nil}, {want[prefaceSize:], []*os.File{memfd(t, 12288, frozen)}}}}, Config{})
	m, err = b.Receive(t.Context())
	if err != nil || string(m.Bytes()) != "frame 7" || m.Memory().Size() != 12288 {
		t.Fatal(err)
	}
	wantErr(t, receiveErr(t, b), io.EOF)
}

// TestHostileMemory: what is wrong is an error, told to the peer, and the file
// is closed at once.
func TestHostileMemory(t *testing.T) {
	pipe := func() *os.File {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = r.Close(), w.Close() })
		return r
	}
	for name, row := range map[string]struct {
		in   []byte
		file *os.File
		kind fault.Kind
	}{
		"unsealed":      {memoryFrame(8, 1, 4096, ""), memfd(t, 4096, 0), fault.Protocol},
		"can shrink":    {memoryFrame(8, 1, 4096, ""), memfd(t, 4096, frozen&^unix.F_SEAL_SHRINK), fault.Protocol},
		"live":          {memoryFrame(8, 1, 4096, ""), memfd(t, 4096, fixed|unix.F_SEAL_FUTURE_WRITE), fault.Protocol},
		"shorter":       {memoryFrame(8, 1, 4097, ""), memfd(t, 4096, frozen), fault.Protocol},
		"longer":        {memoryFrame(8, 1, 4095, ""), memfd(t, 4096, frozen), fault.Protocol},
		"empty":         {memoryFrame(8, 1, 0, ""), memfd(t, 0, frozen), fault.Protocol},
		"pipe":          {memoryFrame(8, 1, 4096, ""), pipe(), fault.Protocol},
		"file":          {memoryFrame(8, 1, 4096, ""), open(t, "f"), fault.Protocol},
		"none":          {memoryFrame(8, 1, 4096, ""), nil, fault.Protocol},
		"over the max":  {memoryFrame(8, 1, 1<<20+1, ""), memfd(t, 1<<20+1, frozen), fault.TooLarge},
		"2^63":          {memoryFrame(8, 1, 1<<63, ""), memfd(t, 4096, frozen), fault.TooLarge},
		"2^64-1":        {memoryFrame(8, 1, 1<<64-1, ""), memfd(t, 4096, frozen), fault.TooLarge},
		"short frame":   {memoryFrame(7, 1, 4096, ""), memfd(t, 4096, frozen), fault.Protocol},
		"no file said":  {memoryFrame(8, 0, 4096, ""), memfd(t, 4096, frozen), fault.Protocol},
		"two files":     {memoryFrame(8, 2, 4096, ""), memfd(t, 4096, frozen), fault.Protocol},
		"long message":  {memoryFrame(8+101, 1, 4096, ""), memfd(t, 4096, frozen), fault.TooLarge},
		"4 GiB message": {memoryFrame(1<<32-1, 1, 4096, ""), memfd(t, 4096, frozen), fault.TooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			var files []*os.File
			if row.file != nil {
				files = []*os.File{row.file}
			}
			q := &shm.Quota{}
			c, _, err := received(t, Config{MaxSize: 100, MaxMemory: 1 << 20, Quota: q}, row.in, files...)
			wantErr(t, err, row.kind)
			_ = c.Close()
			if row.file != nil && isOpen(row.file) || q.Used() != 0 {
				t.Fatalf("still open, or %d bytes of the quota in use, after %v", q.Used(), err)
			}
		})
	}
}

func TestLiveMemoryOnlyIfWanted(t *testing.T) {
	_, m, err := received(t, Config{LiveMemory: true}, memoryFrame(8, 1, 4096, ""), memfd(t, 4096, fixed|unix.F_SEAL_FUTURE_WRITE))
	if err != nil {
		t.Fatal(err)
	}
	if mem := m.Memory(); mem.Frozen() || mem.Close() != nil {
		t.Error("frozen, or not to be closed")
	}
	m.Release()
}

func TestNoMemoryWhereNoFilesAreWanted(t *testing.T) {
	c := conn(t, &playback{in: memoryFrame(8, 1, 4096, ""), size: func() int { return 9 }}, Config{MaxFiles: -1})
	wantErr(t, receiveErr(t, c), fault.Protocol)
}

// TestReleaseClosesUnclaimedMemory: so does Close with what nobody received.
func TestReleaseClosesUnclaimedMemory(t *testing.T) {
	q := &shm.Quota{}
	f := memfd(t, 4096, frozen)
	_, m, err := received(t, Config{Quota: q}, memoryFrame(8, 1, 4096, ""), f)
	if err != nil || q.Used() != 4096 {
		t.Fatal(err, q.Used())
	}
	m.Release()
	if isOpen(f) || q.Used() != 0 {
		t.Error("Release left it open")
	}
	f = memfd(t, 4096, frozen)
	c, _, err := received(t, Config{Quota: q}, memoryFrame(8+5, 1, 4096, "cut"), f)
	wantErr(t, err, io.ErrUnexpectedEOF)
	_ = c.Close()
	if isOpen(f) || q.Used() != 0 {
		t.Error("Close left what was half received open")
	}
}

// TestQuotaHoldsTheNextMemoryBack: nothing is lost, and nothing is held beyond
// the quota.
func TestQuotaHoldsTheNextMemoryBack(t *testing.T) {
	q := &shm.Quota{Max: 8192}
	one := memoryFrame(8+3, 1, 4096, "one")
	var script []part
	for _, p := range [][]byte{one, one[prefaceSize:], one[prefaceSize:], one[prefaceSize:]} {
		script = append(script, part{slices.Clone(p), []*os.File{memfd(t, 4096, frozen)}})
	}
	script = append(script, part{appendGoodbye(nil, goodbye{}), nil})
	c := conn(t, &passing{script: script}, Config{Quota: q})
	var held []*shm.Memory
	for got := 0; ; {
		m, err := c.Receive(t.Context())
		if errors.Is(err, fault.Exhausted) {
			if len(held) != 2 || q.Used() != 8192 {
				t.Fatalf("%v with %d held, %d bytes", err, len(held), q.Used())
			}
			_ = held[0].Close()
			held = held[1:]
			continue
		}
		if err != nil {
			wantErr(t, err, io.EOF)
			if got != 4 {
				t.Fatalf("%d memories arrived, want 4", got)
			}
			break
		}
		got++
		held = append(held, m.Memory())
		m.Release()
	}
	for _, m := range held {
		_ = m.Close()
	}
	if q.Used() != 0 {
		t.Errorf("%d bytes of the quota in use", q.Used())
	}
}

func TestSendMemoryRefuses(t *testing.T) {
	ctx := t.Context()
	m := sealed(t, 4096, "")
	raw, err := shm.NewMemory("message-test", 4096)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = raw.Close() }()
	done, err := m.Borrow()
	if err != nil {
		t.Fatal(err)
	}
	_ = done.Close()
	a := NewConn(&passing{}, Config{MaxSize: 10})
	wantErr(t, a.SendMemory(ctx, raw, nil), fault.Invalid)
	wantErr(t, a.SendMemory(ctx, done, nil), fault.Closed)
	wantErr(t, a.SendMemory(ctx, m, make([]byte, 11)), fault.TooLarge)
	x, y := pair(t, Config{})
	wantErr(t, x.SendMemory(ctx, m, nil), fault.Unsupported)
	send(t, x, "still fine")
	wantReceive(t, y, "still fine")
	_ = a.Close()
}

// FuzzReceiveMemory gives a peer's frame, in any chunks, any file.
func FuzzReceiveMemory(f *testing.F) {
	f.Add(memoryFrame(8+3, 1, 4096, "abc"), uint16(4096), byte(frozen), byte(3))
	f.Add(memoryFrame(8, 1, 1<<63, ""), uint16(1), byte(fixed|unix.F_SEAL_FUTURE_WRITE), byte(0))
	f.Add(memoryFrame(7, 2, 9, "x"), uint16(9), byte(0), byte(200))
	f.Fuzz(func(t *testing.T, in []byte, size uint16, seals, first byte) {
		file := memfd(t, int64(size), int(seals)&0x1f)
		head := min(len(in), prefaceSize)
		cut := min(len(in), head+int(first))
		q := &shm.Quota{}
		c := NewConn(&passing{script: []part{{in[:head], nil}, {in[head:cut], []*os.File{file}}, {in[cut:], nil}}}, Config{MaxSize: 1 << 16, Quota: q})
		for {
			m, err := c.Receive(t.Context())
			if err != nil {
				break
			}
			if mem := m.Memory(); mem != nil {
				b, err := mem.Bytes()
				if err != nil || len(b) != int(size) || int(seals)&frozen != frozen || slices.Max(b) != 0 {
					t.Fatalf("%d bytes of %d, seals %#x: %v", len(b), size, seals, err)
				}
				_ = mem.Close()
			}
			m.Release()
		}
		if _ = c.Close(); q.Used() != 0 {
			t.Fatalf("%d bytes of the quota in use", q.Used())
		}
	})
}
