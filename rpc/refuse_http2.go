// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"bytes"
	"io"
	"strconv"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"

	"github.com/parley-ipc/parley/transport"
)

const (
	maxRefused = 256 << 10              // bytes that a client over HTTP/2 may send us in vain
	anyStream  = 1<<31 - 1              // the last stream that a GOAWAY can name: none of them was lost
	lastFrame  = 100 * time.Millisecond // for telling a client which of its calls we have seen

	deniedText = "the server's policy does not let you in"
)

// refuseHTTP2 answers each call of a denied client over HTTP/2, of whose
// preface the first bytes have been read, with PermissionDenied. From the
// first one on it asks for no more, so that the client hangs up when it has
// all its answers: then, after maxRefused, or when t's deadline has passed, it
// returns. Nothing of the calls is looked at but their numbers.
func refuseHTTP2(t transport.Conn) {
	rest := make([]byte, len(http2.ClientPreface)-sniffed)
	if _, err := io.ReadFull(t, rest); err != nil || http2Magic+string(rest) != http2.ClientPreface {
		return
	}
	f := http2.NewFramer(t, io.LimitReader(t, maxRefused))
	f.SetMaxReadFrameSize(16 << 10) // what a client may send that was told nothing else
	r := refusal{f: f, answer: deniedBlock()}
	err := f.WriteSettings()
	for err == nil {
		err = r.next()
	}
	// A call that we have not seen may be made again, and is then told.
	_ = t.SetWriteDeadline(time.Now().Add(lastFrame))
	_ = f.WriteGoAway(r.last, http2.ErrCodeNo, nil)
}

// refusal is one client being refused.
type refusal struct {
	f      *http2.Framer
	answer []byte
	last   uint32 // stream that has got it
}

// next reads one frame and answers it.
func (r *refusal) next() error {
	frame, err := r.f.ReadFrame()
	if err != nil {
		return err
	}
	switch frame := frame.(type) {
	case *http2.SettingsFrame:
		if !frame.IsAck() {
			err = r.f.WriteSettingsAck()
		}
	case *http2.PingFrame:
		if !frame.IsAck() {
			err = r.f.WritePing(true, frame.Data)
		}
	case *http2.HeadersFrame:
		first := r.last == 0
		r.last = max(r.last, frame.StreamID)
		if err = r.refuse(frame); err == nil && first {
			err = r.f.WriteGoAway(anyStream, http2.ErrCodeNo, nil)
		}
	}
	return err
}

// refuse ends a call with the answer, and frees a client that has more to send
// of it.
func (r *refusal) refuse(call *http2.HeadersFrame) error {
	err := r.f.WriteHeaders(http2.HeadersFrameParam{StreamID: call.StreamID, BlockFragment: r.answer, EndHeaders: true, EndStream: true})
	if err == nil && !call.StreamEnded() {
		err = r.f.WriteRSTStream(call.StreamID, http2.ErrCodeNo)
	}
	return err
}

// deniedBlock is the header block of an answer that says no. It uses nothing
// that the client would have to remember, so it is the same each time.
func deniedBlock() []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	e.SetMaxDynamicTableSize(0)
	for _, h := range [][2]string{
		{":status", "200"},
		{"content-type", "application/grpc"},
		{"grpc-status", strconv.Itoa(int(codes.PermissionDenied))},
		{"grpc-message", deniedText},
	} {
		_ = e.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]}) // a Buffer fails never
	}
	return b.Bytes()
}
