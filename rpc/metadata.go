// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"fmt"
	"reflect"
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

// rawOutgoing says that the value under outgoingKey is what we know it for: a
// map, and pairs that have been appended to it.
var rawOutgoing = func() bool {
	t := reflect.TypeOf(metadata.AppendToOutgoingContext(context.Background(), "k", "v").Value(outgoingKey))
	return t.Kind() == reflect.Struct && t.NumField() == 2 &&
		t.Field(0).Type == reflect.TypeFor[metadata.MD]() && t.Field(1).Type == reflect.TypeFor[[][]string]()
}()

// appendOutgoing appends the metadata that the caller hung on ctx. Where they
// are nothing but appended pairs no map is made of them.
func appendOutgoing(p rpcwire.Pairs, ctx context.Context) (rpcwire.Pairs, error) {
	raw := ctx.Value(outgoingKey)
	if raw == nil {
		return p, nil
	}
	v := reflect.ValueOf(raw)
	if !rawOutgoing || v.Field(0).Len() > 0 {
		md, _ := metadata.FromOutgoingContext(ctx)
		return appendPairs(p, md)
	}
	added := v.Field(1)
	for i := range added.Len() {
		pairs := added.Index(i)
		for j := 0; j+1 < pairs.Len(); j += 2 {
			key := strings.ToLower(pairs.Index(j).String())
			if reserved(key) {
				continue
			}
			err := checkKey(key)
			if err == nil {
				p, err = appendPair(p, key, pairs.Index(j+1).String())
			}
			if err != nil {
				return p, err
			}
		}
	}
	return p, nil
}

// appendPairs checks md as grpc-go does and appends it.
func appendPairs(p rpcwire.Pairs, md metadata.MD) (rpcwire.Pairs, error) {
	for key, values := range md {
		key = strings.ToLower(key)
		if reserved(key) {
			continue
		}
		err := checkKey(key)
		for _, v := range values {
			if err == nil {
				p, err = appendPair(p, key, v)
			}
		}
		if err != nil {
			return p, err
		}
	}
	return p, nil
}

// appendPair checks the value of a pair, and appends it.
func appendPair(p rpcwire.Pairs, key, v string) (rpcwire.Pairs, error) {
	if !strings.HasSuffix(key, "-bin") && !printable(v) {
		return p, status.Errorf(codes.Internal, "header key %q contains value with non-printable ASCII characters", key)
	}
	return rpcwire.AppendPair(p, key, v), nil
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
