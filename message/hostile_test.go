// SPDX-License-Identifier: Apache-2.0

package message

import (
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/parley-ipc/parley/fault"
)

func frameBytes(length uint32, k, flags byte, files uint16, payload string) []byte {
	b := binary.LittleEndian.AppendUint32(appendPreface(nil), length)
	b = append(b, k, flags)
	return append(binary.LittleEndian.AppendUint16(b, files), payload...)
}

func TestHostileBytes(t *testing.T) {
	for name, row := range map[string]struct {
		in   []byte
		kind fault.Kind
		text string
	}{
		"http2":           {[]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), fault.Protocol, "does not speak"},
		"http1":           {[]byte("GET / HTTP/1.1\r\n"), fault.Protocol, "does not speak"},
		"tls":             {[]byte("\x16\x03\x01\x02\x00\x01\x00\x01"), fault.Protocol, "does not speak"},
		"zeros":           {make([]byte, 64), fault.Protocol, "does not speak"},
		"kind":            {frameBytes(0, 9, 0, 0, ""), fault.Protocol, "unknown kind 9"},
		"flags":           {frameBytes(0, 1, 4, 0, ""), fault.Protocol, "unknown flags"},
		"4 GiB":           {frameBytes(1<<32-1, 1, 0, 0, "x"), fault.TooLarge, "4294967295"},
		"missing files":   {frameBytes(1, 1, 0, 3, "x"), fault.Protocol, "3 files"},
		"many files":      {frameBytes(1, 1, 0, 65535, "x"), fault.Protocol, "65535 files"},
		"long goodbye":    {frameBytes(257, 2, 0, 0, strings.Repeat("x", 257)), fault.Protocol, "goodbye of 257"},
		"goodbye's files": {frameBytes(0, 2, 0, 1, ""), fault.Protocol, "goodbye"},
		"goodbye's text":  {frameBytes(2, 2, 0, 0, "\x02\xff"), fault.Protocol, "UTF-8"},
		"future reason":   {frameBytes(1, 2, 0, 0, "\xc8"), fault.Other, "ended the connection"},
	} {
		t.Run(name, func(t *testing.T) {
			c := NewConn(&playback{in: row.in, size: func() int { return 1 }}, Config{})
			defer func() { _ = c.Close() }()
			for range 2 {
				err := receiveErr(t, c)
				if fault.KindOf(err) != row.kind || !strings.Contains(err.Error(), row.text) {
					t.Fatalf("%v (%v), want %v with %q", err, fault.KindOf(err), row.kind, row.text)
				}
			}
		})
	}
}

// TestVersionMismatch: both sides learn both versions.
func TestVersionMismatch(t *testing.T) {
	x, y := sockets(t)
	b := conn(t, plain{y}, Config{})
	newer := binary.LittleEndian.AppendUint16([]byte(magic), 7)
	if _, err := x.Write(newer); err != nil {
		t.Fatal(err)
	}
	err := receiveErr(t, b)
	wantErr(t, err, fault.Protocol)
	const want = "the peer speaks version 7 of the message protocol, we speak version 1"
	if !strings.Contains(err.Error(), want) {
		t.Fatalf("%v, want %q", err, want)
	}
	told := make([]byte, prefaceSize+headerSize+1+len(want))
	if _, err := io.ReadFull(x, told); err != nil {
		t.Fatal(err)
	}
	if checkPreface(told) != nil || !strings.HasSuffix(string(told), string(rune(fault.Protocol))+want) {
		t.Fatalf("the peer is told %q", told)
	}
	_ = x.Close()
}

// TestVersionMismatchIsTheSendersError: a side that only sends learns it too.
func TestVersionMismatchIsTheSendersError(t *testing.T) {
	x, y := sockets(t)
	a := conn(t, plain{x}, Config{})
	_, _ = y.Write(binary.LittleEndian.AppendUint16([]byte(magic), 7))
	_ = y.Close()
	wantErr(t, firstError(func() error { return a.Send(t.Context(), []byte("x")) }), fault.Protocol)
}

func TestRefuse(t *testing.T) {
	x, y := sockets(t)
	a := conn(t, plain{x}, Config{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		Refuse(plain{y})
		_ = y.Close()
	}()
	send(t, a, "let me in") // read and forgotten
	err := receiveErr(t, a)
	wantErr(t, err, fault.Denied)
	if want := ": denied: the peer ended the connection"; !strings.HasSuffix(err.Error(), want) {
		t.Fatalf("%q, want it to end %q", err, want)
	}
	_ = a.Close()
	<-done
}

func TestRefusedSenderIsTold(t *testing.T) {
	x, y := sockets(t)
	a := conn(t, plain{x}, Config{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		Refuse(&timed{plain{y}, 50 * time.Millisecond})
		_ = y.Close()
	}()
	err := firstError(func() error { return a.Send(background(t), make([]byte, 1<<16)) })
	wantErr(t, err, fault.Denied)
	<-done
}

// timed shortens the deadlines that are set on it.
type timed struct {
	plain
	most time.Duration
}

func (c *timed) SetReadDeadline(time.Time) error {
	return c.plain.SetReadDeadline(time.Now().Add(c.most))
}

// TestHeaderAloneAllocatesLittle: what a peer announces costs us nothing until
// it sends it.
func TestHeaderAloneAllocatesLittle(t *testing.T) {
	for name, length := range map[string]uint32{"too large": 1<<32 - 1, "allowed": DefaultMaxSize} {
		t.Run(name, func(t *testing.T) {
			c := NewConn(&playback{in: frameBytes(length, 1, 0, 0, "x"), size: func() int { return 4096 }}, Config{})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := c.Receive(t.Context())
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Fatal("a message of one byte passed for more")
			}
			if got := after.TotalAlloc - before.TotalAlloc; got > firstLoan+128<<10 {
				t.Fatalf("%d bytes allocated", got)
			}
			_ = c.Close()
		})
	}
}

func FuzzReceive(f *testing.F) {
	f.Add(appendGoodbye(frameBytes(3, 1, 0, 0, "abc"), goodbye{}), byte(3))
	f.Add(appendGoodbye(appendPreface(nil), goodbye{early: true, reason: fault.Denied, why: "no"}), byte(1))
	f.Add(frameBytes(1<<32-1, 1, 0, 0, ""), byte(200))
	f.Fuzz(func(t *testing.T, in []byte, chunk byte) {
		c := NewConn(&playback{in: in, size: func() int { return int(chunk) }}, Config{MaxSize: 1 << 16})
		defer func() { _ = c.Close() }()
		total := 0
		for {
			m, err := c.Receive(t.Context())
			if err != nil {
				if err != io.EOF && !errors.As(err, new(*fault.Error)) { //nolint:errorlint // the very value
					t.Fatalf("%T %v", err, err)
				}
				return
			}
			if total += headerSize + len(m.Bytes()); total > len(in) {
				t.Fatalf("%d bytes received of %d", total, len(in))
			}
			m.Release()
		}
	})
}
