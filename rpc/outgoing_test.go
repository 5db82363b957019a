// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"reflect"
	"testing"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// What is read from a context without a map of it is what grpc reads.
func TestOutgoingMetadataAreReadAsGRPCDoes(t *testing.T) {
	if !rawOutgoing {
		t.Error("grpc keeps outgoing metadata otherwise than known here")
	}
	add := metadata.AppendToOutgoingContext
	base := t.Context()
	for name, ctx := range map[string]context.Context{
		"none":                  base,
		"appended":              add(base, "A", "1", "b-bin", "\x00\xff"),
		"appended twice":        add(add(base, "a", "1"), "A", "2", "c", ""),
		"a map":                 metadata.NewOutgoingContext(base, metadata.MD{"UP": {"1", "2"}}),
		"an empty map":          add(metadata.NewOutgoingContext(base, nil), "a", "1"),
		"a map and more":        add(metadata.NewOutgoingContext(base, metadata.Pairs("a", "1")), "a", "2"),
		"reserved":              add(base, "grpc-timeout", "1S", ":path", "/", "a", "1"),
		"a bad key":             add(base, "a", "1", "b ", "2"),
		"a bad value":           add(base, "a", "1\n2"),
		"a bad key, no value":   metadata.NewOutgoingContext(base, metadata.MD{"b ": nil}),
		"appended to another's": add(add(base, "a", "1"), "b", "2"),
	} {
		t.Run(name, func(t *testing.T) {
			md, _ := metadata.FromOutgoingContext(ctx)
			want, wantErr := appendPairs(nil, md)
			got, err := appendOutgoing(nil, ctx)
			if status.Code(err) != status.Code(wantErr) {
				t.Fatalf("%v, want %v", err, wantErr)
			}
			if err == nil && !reflect.DeepEqual(toMD(got), toMD(want)) {
				t.Errorf("%v, want %v", toMD(got), toMD(want))
			}
		})
	}
}
