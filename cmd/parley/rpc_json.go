// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/jhump/protoreflect/v2/protoresolve"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// rpcFormat says how an answer is printed.
type rpcFormat struct {
	types    protoresolve.SerializationResolver
	lines    bool // one a line
	defaults bool
}

// json is m without protojson's whitespace, which differs from build to build.
func (f rpcFormat) json(m proto.Message) ([]byte, error) {
	raw, err := protojson.MarshalOptions{Resolver: f.types, EmitDefaultValues: f.defaults}.Marshal(m)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if f.lines {
		err = json.Compact(&out, raw)
	} else {
		err = json.Indent(&out, raw, "", "  ")
	}
	return out.Bytes(), err
}

// requestReader reads requests, one JSON value after the other.
type requestReader struct {
	message protoreflect.MessageDescriptor
	types   protoresolve.SerializationResolver
	values  *json.Decoder
	n       int
}

func newRequests(message protoreflect.MessageDescriptor, types protoresolve.SerializationResolver, input io.Reader) *requestReader {
	return &requestReader{message: message, types: types, values: json.NewDecoder(input)}
}

// next returns the next request, or io.EOF.
func (r *requestReader) next() (proto.Message, error) {
	r.n++
	var raw json.RawMessage
	if err := r.values.Decode(&raw); errors.Is(err, io.EOF) {
		return nil, io.EOF
	} else if err != nil {
		return nil, usageError{fmt.Errorf("--data: request %d is not JSON: %w", r.n, err)}
	}
	m := dynamicpb.NewMessage(r.message)
	if err := (protojson.UnmarshalOptions{Resolver: r.types}).Unmarshal(raw, m); err != nil {
		return nil, usageError{fmt.Errorf("--data: request %d is not a %s: %w", r.n, r.message.FullName(), err)}
	}
	return m, nil
}

// only returns the one request, which is empty where there is none.
func (r *requestReader) only() (proto.Message, error) {
	m, err := r.next()
	if errors.Is(err, io.EOF) {
		return dynamicpb.NewMessage(r.message), nil
	}
	if err != nil {
		return nil, err
	}
	if _, err := r.next(); !errors.Is(err, io.EOF) {
		return nil, usageError{errors.New("--data: the method takes one request, and there are more")}
	}
	return m, nil
}

func showMetadata(w io.Writer, what string, md metadata.MD) {
	for _, key := range slices.Sorted(maps.Keys(md)) {
		for _, value := range md[key] {
			if strings.HasSuffix(key, "-bin") {
				value = base64.StdEncoding.EncodeToString([]byte(value))
			}
			fmt.Fprintf(w, "%s %s: %q\n", what, key, value)
		}
	}
}
