// SPDX-License-Identifier: Apache-2.0

package rpcwire_test

import (
	"bytes"
	"encoding/hex"
	"testing"
	"time"

	"github.com/parley-ipc/parley/internal/rpcwire"
)

// TestGolden pins version 1 byte by byte: docs/formats/rpc.md shows the same.
func TestGolden(t *testing.T) {
	open := rpcwire.Opening{
		Flags:  rpcwire.FlagNamed | rpcwire.FlagTimeout | rpcwire.FlagExtra | rpcwire.FlagMessage | rpcwire.FlagEnd,
		Method: 1, Name: []byte("/a.B/C"), Timeout: time.Second, Metadata: rpcwire.AppendPair(nil, "k", "v"),
	}
	closing := rpcwire.Closing{Flags: rpcwire.FlagStatus | rpcwire.FlagTrailer, Code: 5, Text: []byte("no"), Trailer: rpcwire.AppendPair(nil, "t", "1")}
	for _, c := range []struct {
		name, want string
		got        []byte
	}{
		{"hello", "935041525250431a" + "0100" + "0000" + "16000000" + "00000400" + "00004000" + "e8030000" + "00800000" + "0261" + "31" + "0268" + "32",
			rpcwire.Hello{Window: 256 << 10, Total: 4 << 20, Streams: 1000, Header: 32 << 10, Agent: "a1", Authority: "h2"}.Append(nil)},
		{"denied", "935041525250431a" + "0100" + "0100" + "12000000" + "00000400" + "00004000" + "00000000" + "00000000" + "0000",
			rpcwire.Hello{Status: rpcwire.StatusDenied, Window: 256 << 10, Total: 4 << 20}.Append(nil)},
		{"open", "16000000" + "01" + "76" + "0000" + "03000000" + "01" + "062f612e422f43" + "8094ebdc03" + "00" + "00" + "04016b0176" + "0a01",
			frame(rpcwire.Head{Kind: rpcwire.Open, Flags: open.Flags, Stream: 3}, append(open.Append(nil), 0x0a, 0x01))},
		{"close", "0a000000" + "04" + "30" + "0000" + "03000000" + "05" + "026e6f" + "00" + "0401740131",
			frame(rpcwire.Head{Kind: rpcwire.Close, Flags: closing.Flags, Stream: 3}, closing.Append(nil))},
		{"window", "04000000" + "06" + "00" + "0000" + "00000000" + "00000100",
			frame(rpcwire.Head{Kind: rpcwire.Window}, []byte{0, 0, 1, 0})},
		{"reset", "00000000" + "05" + "00" + "0000" + "03000000", frame(rpcwire.Head{Kind: rpcwire.Reset, Stream: 3}, nil)},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

func frame(h rpcwire.Head, p []byte) []byte {
	h.Length = uint32(len(p))
	return append(rpcwire.AppendHead(nil, h), p...)
}

func TestHelloComesBack(t *testing.T) {
	want := rpcwire.Hello{Version: 1, Window: 256 << 10, Total: 4 << 20, Streams: 7, Header: 9, Agent: "a", Authority: "b"}
	b := want.Append(nil)
	version, st, n, err := rpcwire.ParseHelloPrefix(b)
	if err != nil || version != 1 || st != rpcwire.StatusOK || n != len(b)-rpcwire.HelloPrefix {
		t.Fatal(version, st, n, err)
	}
	got, err := rpcwire.ParseHello(b[rpcwire.HelloPrefix:])
	if err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	b[16] = 0
	b[18] = 0
	if _, err := rpcwire.ParseHello(b[rpcwire.HelloPrefix:]); err == nil {
		t.Error("a window of nothing was taken")
	}
}

// FuzzDecode wants no panic, and whatever is taken to come back the same.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{}, uint8(0))
	f.Add([]byte("\x01\x06/a.B/C\x80\x94\xeb\xdc\x03\x00\x00\x04\x01k\x01v\x0a\x01"), uint8(0x76))
	f.Add([]byte("\x05\x02no\x00\x04\x01t\x011"), uint8(0x30))
	f.Fuzz(func(t *testing.T, p []byte, flags uint8) {
		if len(p) >= rpcwire.HeadSize {
			_, _ = rpcwire.ParseHead(p)
		}
		if len(p) >= rpcwire.HelloPrefix {
			_, _, _, _ = rpcwire.ParseHelloPrefix(p)
		}
		_, _ = rpcwire.ParseHello(p)
		_ = rpcwire.CheckMessage(flags, p)
		if o, err := rpcwire.ParseOpening(flags, p); err == nil {
			o.Metadata.Each(func(k, v []byte) {
				if len(k) == 0 {
					t.Error("an empty key")
				}
			})
			again, err := rpcwire.ParseOpening(flags, append(o.Append(nil), o.Rest...))
			if err != nil || !bytes.Equal(again.Rest, o.Rest) || !bytes.Equal(again.Name, o.Name) || again.Timeout != o.Timeout || !bytes.Equal(again.Metadata, o.Metadata) {
				t.Errorf("%+v came back as %+v, %v", o, again, err)
			}
		}
		if r, err := rpcwire.ParseClosing(flags, p); err == nil {
			again, err := rpcwire.ParseClosing(flags, append(r.Append(nil), r.Rest...))
			if err != nil || !bytes.Equal(again.Rest, r.Rest) || again.Code != r.Code || !bytes.Equal(again.Trailer, r.Trailer) {
				t.Errorf("%+v came back as %+v, %v", r, again, err)
			}
		}
	})
}
