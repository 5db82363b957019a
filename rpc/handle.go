// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/parley-ipc/parley/fault"
)

// Handle serves the unary method "/package.Service/Method" by f, where protoc
// is not wanted: Req and Resp are protobuf messages, or what encoding/json
// takes, which Call then sends as JSON. Before Serve; a service that was
// registered otherwise takes no more methods.
func Handle[Req, Resp any](s *Server, method string, f func(context.Context, *Req) (*Resp, error)) error {
	name, short, ok := cutMethod(method)
	if !ok {
		return fault.New(fault.Invalid, "handle", method, errors.New("a method is written /package.Service/Method"))
	}
	return s.registry.add(name, grpc.MethodDesc{MethodName: short, Handler: func(_ any, ctx context.Context, dec func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
		req := new(Req)
		if err := dec(req); err != nil {
			return nil, err
		}
		if interceptor == nil {
			return f(ctx, req)
		}
		info := &grpc.UnaryServerInfo{FullMethod: "/" + name + "/" + short}
		return interceptor(ctx, req, info, func(ctx context.Context, req any) (any, error) { return f(ctx, req.(*Req)) })
	}})
}

// Call calls the unary method "/package.Service/Method": as protobuf if req is
// a protobuf message, else as JSON, unless opts say otherwise.
func Call[Req, Resp any](ctx context.Context, cc grpc.ClientConnInterface, method string, req *Req, opts ...grpc.CallOption) (*Resp, error) {
	if _, ok := any(req).(proto.Message); !ok {
		opts = append([]grpc.CallOption{grpc.CallContentSubtype("json")}, opts...)
	}
	resp := new(Resp)
	if err := cc.Invoke(ctx, method, req, resp, opts...); err != nil {
		return nil, err
	}
	return resp, nil
}

func cutMethod(full string) (service, method string, ok bool) {
	full, ok = strings.CutPrefix(full, "/")
	i := strings.LastIndexByte(full, '/')
	if !ok || i <= 0 || i == len(full)-1 {
		return "", "", false
	}
	return full[:i], full[i+1:], true
}

// add adds one method to a service that Handle has made, or makes.
func (r *registry) add(name string, m grpc.MethodDesc) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.services[name]
	if s == nil {
		s = &service{desc: &grpc.ServiceDesc{ServiceName: name}, methods: map[string]*method{}, handled: true}
	}
	if r.frozen || !s.handled || s.methods[m.MethodName] != nil {
		return fault.New(fault.Invalid, "handle", "/"+name+"/"+m.MethodName, errors.New("it is served already, or Serve has begun"))
	}
	s.desc.Methods = append(s.desc.Methods, m)
	s.methods[m.MethodName] = &method{full: "/" + name + "/" + m.MethodName, service: s, unary: &m}
	r.services[name] = s
	return nil
}
