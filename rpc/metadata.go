// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/parley-ipc/parley/internal/rpcwire"
)

// keyOf finds out under which key a function looks for its value in a
// context: so our own context answers for it without being wrapped.
func keyOf(look func(context.Context)) any {
	p := &probe{Context: context.Background()}
	look(p)
	return p.key
}

type probe struct {
	context.Context
	key any
}

func (p *probe) Value(key any) any {
	p.key = key
	return nil
}

var outgoingKey = keyOf(func(ctx context.Context) { metadata.FromOutgoingContext(ctx) })

// outgoing is the metadata that the caller hung on ctx; nil is the common case.
func outgoing(ctx context.Context) metadata.MD {
	if ctx.Value(outgoingKey) == nil {
		return nil
	}
	md, _ := metadata.FromOutgoingContext(ctx)
	return md
}

// appendPairs checks md as grpc-go does and appends it.
func appendPairs(p rpcwire.Pairs, md metadata.MD) (rpcwire.Pairs, error) {
	for key, values := range md {
		key = strings.ToLower(key)
		if reserved(key) {
			continue
		}
		if err := checkKey(key); err != nil {
			return p, err
		}
		for _, v := range values {
			if !strings.HasSuffix(key, "-bin") && !printable(v) {
				return p, status.Errorf(codes.Internal, "header key %q contains value with non-printable ASCII characters", key)
			}
			p = rpcwire.AppendPair(p, key, v)
		}
	}
	return p, nil
}

// reserved says which keys belong to the protocol, and are left out: those of
// grpc-go.
func reserved(key string) bool {
	switch key {
	case "content-type", "user-agent", "te", "grpc-message-type", "grpc-encoding", "grpc-message", "grpc-status", "grpc-timeout", "grpc-status-details-bin":
		return true
	}
	return strings.HasPrefix(key, ":")
}

func checkKey(key string) error {
	if key == "" {
		return status.Error(codes.Internal, "there is an empty key in the header")
	}
	for i := range len(key) {
		c := key[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' {
			return status.Errorf(codes.Internal, "header key %q contains illegal characters not in [0-9a-z-_.]", key)
		}
	}
	return nil
}

func printable(v string) bool {
	for i := range len(v) {
		if v[i] < 0x20 || v[i] > 0x7e {
			return false
		}
	}
	return true
}

// toMD makes metadata of pairs. What belongs to the protocol cannot be forged,
// and what no honest peer can send is left out: a program may hand metadata on
// to where a line break begins another header.
func toMD(p rpcwire.Pairs) metadata.MD {
	md := metadata.MD{}
	p.Each(func(k, v []byte) {
		key, value := string(k), string(v)
		if reserved(key) || checkKey(key) != nil || !strings.HasSuffix(key, "-bin") && !printable(value) {
			return
		}
		md[key] = append(md[key], value)
	})
	return md
}

func errHeaderSize(n, most int) error {
	return fmt.Errorf("%w: metadata of %d bytes, of at most %d", rpcwire.ErrFrame, n, most)
}
