// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"math"
	"strings"
	"unicode/utf8"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/parley-ipc/parley/internal/rpcwire"
)

const (
	maxText    = 64 << 10 // with details, header and trailer it fits a frame
	maxDetails = 128 << 10
)

// fillStatus puts st into the closing. What is too large is cut, or left out.
func fillStatus(r *rpcwire.Closing, st *status.Status) {
	if st.Code() == codes.OK {
		return
	}
	r.Flags |= rpcwire.FlagStatus
	r.Code = uint32(st.Code())
	if r.Code > math.MaxInt32 {
		r.Code = uint32(codes.Unknown)
	}
	r.Text = []byte(cutText(st.Message()))
	if p := st.Proto(); len(p.GetDetails()) > 0 {
		if b, err := proto.Marshal(p); err == nil && len(b) <= maxDetails {
			r.Details = b
		}
	}
}

// cutText is as much of a status's text as is sent, valid UTF-8 as with grpc-go.
func cutText(text string) string {
	if !utf8.ValidString(text) {
		text = string([]rune(text)) // each byte that is none becomes U+FFFD
	}
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "")
	}
	return text
}

// statusOf reads the status in a closing.
func statusOf(r *rpcwire.Closing) *status.Status {
	if r.Flags&rpcwire.FlagStatus == 0 {
		return nil
	}
	if len(r.Details) > 0 {
		p := new(spb.Status)
		if proto.Unmarshal(r.Details, p) == nil && p.GetCode() == int32(r.Code) {
			return status.FromProto(p)
		}
	}
	return status.New(codes.Code(r.Code), string(r.Text))
}

// toStatus is what grpc-go makes of a handler's error.
func toStatus(err error) *status.Status {
	if err == nil {
		return nil
	}
	st, ok := status.FromError(err)
	if !ok {
		st = status.FromContextError(err)
	}
	return st
}
