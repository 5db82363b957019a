// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the default codec
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Codecs that every Server and Client know, beside those that the program has
// registered with package encoding. grpc.CallContentSubtype chooses one.
var (
	// JSON is protojson for protobuf messages, encoding/json for others.
	// Content-subtype "json".
	JSON encoding.CodecV2 = jsonCodec{}

	// Raw passes bytes as they are: []byte and *[]byte. Content-subtype "raw".
	Raw encoding.CodecV2 = rawCodec{}
)

// codecFor returns the codec of a content-subtype; empty: proto.
func codecFor(subtype string) encoding.CodecV2 {
	if subtype == "" {
		subtype = "proto"
	}
	if c := encoding.GetCodecV2(subtype); c != nil {
		return c
	}
	if c := encoding.GetCodec(subtype); c != nil {
		return oldCodec{c}
	}
	switch subtype {
	case "json":
		return JSON
	case "raw":
		return Raw
	}
	return nil
}

type jsonCodec struct{}

func (jsonCodec) Name() string { return "json" }

func (jsonCodec) Marshal(v any) (mem.BufferSlice, error) {
	var b []byte
	var err error
	if m, ok := v.(proto.Message); ok {
		b, err = protojson.Marshal(m)
	} else {
		b, err = json.Marshal(v)
	}
	return mem.BufferSlice{mem.SliceBuffer(b)}, err
}

func (jsonCodec) Unmarshal(data mem.BufferSlice, v any) error {
	if m, ok := v.(proto.Message); ok {
		return protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(data.Materialize(), m)
	}
	return json.Unmarshal(data.Materialize(), v)
}

type rawCodec struct{}

func (rawCodec) Name() string { return "raw" }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	switch b := v.(type) {
	case []byte:
		return mem.BufferSlice{mem.SliceBuffer(b)}, nil
	case *[]byte:
		return mem.BufferSlice{mem.SliceBuffer(*b)}, nil
	}
	return nil, fmt.Errorf("raw: message is %T, want []byte or *[]byte", v)
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("raw: message is %T, want *[]byte", v)
	}
	*b = data.Materialize()
	return nil
}

// oldCodec makes a CodecV2 of a Codec that the program has registered.
type oldCodec struct{ encoding.Codec }

func (c oldCodec) Marshal(v any) (mem.BufferSlice, error) {
	b, err := c.Codec.Marshal(v)
	return mem.BufferSlice{mem.SliceBuffer(b)}, err
}

func (c oldCodec) Unmarshal(data mem.BufferSlice, v any) error {
	return c.Codec.Unmarshal(data.Materialize(), v)
}

// nameless is a codec of grpc.CallCustomCodec, whose calls say no more than
// that they are gRPC's.
type nameless struct{ marshaller }

type marshaller interface {
	Marshal(v any) ([]byte, error)
	Unmarshal(data []byte, v any) error
}

// Name implements encoding.Codec.
func (nameless) Name() string { return "" }

// plainProto says that v under codec is nothing but protobuf, which we can
// write and read in place. A nil codec is the default.
func plainProto(codec encoding.CodecV2, v any) (proto.Message, bool) {
	if codec != nil {
		return nil, false
	}
	m, ok := v.(proto.Message)
	return m, ok
}

func marshalError(err error) error {
	return status.Errorf(codes.Internal, "grpc: error while marshaling: %v", err)
}

// encode makes a message of v, compressed by comp unless nil.
func encode(codec encoding.CodecV2, comp encoding.Compressor, v any) (message, error) {
	if m, ok := plainProto(codec, v); ok && comp == nil {
		size := proto.Size(m)
		if size == 0 {
			return message{}, nil
		}
		p := pool.Get(size)
		b, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend((*p)[:0], m)
		if err != nil {
			pool.Put(p)
			return message{}, marshalError(err)
		}
		if &b[0] != &(*p)[0] {
			pool.Put(p)
			return message{b: b}, nil
		}
		return message{b: b, pooled: p}, nil
	}
	if codec == nil {
		codec = codecFor("")
	}
	data, err := codec.Marshal(v)
	if err != nil {
		return message{}, marshalError(err)
	}
	defer data.Free()
	if comp == nil {
		return message{b: data.Materialize()}, nil
	}
	b, err := compress(comp, data)
	return message{b: b, compressed: true, plain: data.Len()}, err
}

func compress(comp encoding.Compressor, data mem.BufferSlice) ([]byte, error) {
	var out mem.BufferSlice
	z, err := comp.Compress(mem.NewWriter(&out, pool))
	if err == nil {
		for _, b := range data {
			if _, err = z.Write(b.ReadOnlyData()); err != nil {
				break
			}
		}
		if e := z.Close(); err == nil {
			err = e
		}
	}
	defer out.Free()
	if err != nil {
		return nil, status.Errorf(codes.Internal, "grpc: error while compressing: %v", err)
	}
	return out.Materialize(), nil
}

// decode parses m into v. It does not keep m.
func decode(codec encoding.CodecV2, encodingName string, most int, m *message, v any, what string) error {
	b := m.b
	if m.compressed {
		var err error
		if b, err = decompress(encodingName, b, most); err != nil {
			return err
		}
		m.plain = len(b)
	}
	var err error
	if p, ok := plainProto(codec, v); ok {
		err = proto.Unmarshal(b, p)
	} else {
		if codec == nil {
			codec = codecFor("")
		}
		err = codec.Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, v)
	}
	if err != nil {
		return status.Errorf(codes.Internal, "grpc: %s: %v", what, err)
	}
	return nil
}

func decompress(name string, b []byte, most int) ([]byte, error) {
	if name == "" || name == encoding.Identity {
		return nil, status.Error(codes.Internal, "grpc: compressed flag set with identity or empty encoding")
	}
	comp := encoding.GetCompressor(name)
	if comp == nil {
		return nil, status.Errorf(codes.Unimplemented, "grpc: Decompressor is not installed for grpc-encoding %q", name)
	}
	r, err := comp.Decompress(bytes.NewReader(b))
	if err == nil {
		b, err = io.ReadAll(io.LimitReader(r, int64(most)+1)) // most is an int32
	}
	if err != nil {
		return nil, status.Errorf(codes.Internal, "grpc: failed to decompress the received message: %v", err)
	}
	if len(b) > most {
		return nil, status.Errorf(codes.ResourceExhausted, "grpc: received message after decompression larger than max %d", most)
	}
	return b, nil
}
