// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"math"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// callOptions is what a call's grpc.CallOptions mean to us. The zero value is
// a call without any.
type callOptions struct {
	wait     bool
	maxRecv  int // 0: the client's
	maxSend  int
	hasSend  bool
	subtype  string
	codec    encoding.CodecV2 // nil: proto
	encoding string
	comp     encoding.Compressor
	header   []*metadata.MD
	trailer  []*metadata.MD
	peer     []*peer.Peer
	creds    []credentials.PerRPCCredentials
	finish   []func(error)
}

// idle says that opts mean nothing to us: stubs pass one such with each call.
func idle(opts []grpc.CallOption) bool {
	for _, opt := range opts {
		if _, ok := opt.(grpc.StaticMethodCallOption); !ok {
			return false
		}
	}
	return true
}

func (o *callOptions) apply(opts []grpc.CallOption) error {
	for _, opt := range opts {
		switch v := opt.(type) {
		case grpc.HeaderCallOption:
			o.header = append(o.header, v.HeaderAddr)
		case grpc.TrailerCallOption:
			o.trailer = append(o.trailer, v.TrailerAddr)
		case grpc.PeerCallOption:
			o.peer = append(o.peer, v.PeerAddr)
		case grpc.FailFastCallOption:
			o.wait = !v.FailFast
		case grpc.OnFinishCallOption:
			o.finish = append(o.finish, v.OnFinish)
		case grpc.MaxRecvMsgSizeCallOption:
			o.maxRecv = min(max(v.MaxRecvMsgSize, 0), math.MaxInt32)
			if v.MaxRecvMsgSize <= 0 {
				o.maxRecv = -1
			}
		case grpc.MaxSendMsgSizeCallOption:
			o.maxSend, o.hasSend = min(v.MaxSendMsgSize, math.MaxInt32), true
		case grpc.PerRPCCredsCallOption:
			o.creds = append(o.creds, v.Creds)
		case grpc.CompressorCallOption:
			o.encoding = v.CompressorType
		case grpc.ContentSubtypeCallOption:
			o.subtype = strings.ToLower(v.ContentSubtype)
		case grpc.ForceCodecV2CallOption:
			o.codec = v.CodecV2
		case grpc.ForceCodecCallOption:
			o.codec = oldCodec{v.Codec}
		case grpc.CustomCodecCallOption:
			o.codec = oldCodec{nameless{v.Codec}}
		}
	}
	return o.settle()
}

// settle finds the codec and the compressor that the options name.
func (o *callOptions) settle() error {
	switch {
	case o.codec != nil && o.subtype == "":
		o.subtype = strings.ToLower(o.codec.Name())
	case o.codec == nil && o.subtype != "":
		if o.codec = codecFor(o.subtype); o.codec == nil {
			return status.Errorf(codes.Internal, "no codec registered for content-subtype %s", o.subtype)
		}
	}
	if o.subtype == "proto" {
		o.subtype = ""
	}
	if o.encoding == encoding.Identity {
		o.encoding = ""
	}
	if o.encoding != "" {
		if o.comp = encoding.GetCompressor(o.encoding); o.comp == nil {
			return status.Errorf(codes.Internal, "grpc: Compressor is not installed for requested grpc-encoding %q", o.encoding)
		}
	}
	return nil
}

// report gives the caller what it asked for, once the call is over.
func (o *callOptions) report(s *clientStream, err error) {
	for _, h := range o.header {
		*h = s.headerMD()
	}
	for _, t := range o.trailer {
		*t = s.Trailer()
	}
	for _, p := range o.peer {
		*p = *s.c.peer
	}
	for _, f := range o.finish {
		f(err)
	}
}
