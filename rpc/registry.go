// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/auth/token"
)

// registry is what a peer may call, and what is asked before.
type registry struct {
	mu       sync.RWMutex
	services map[string]*service

	unary  grpc.UnaryServerInterceptor  // all of them in one, or nil
	stream grpc.StreamServerInterceptor // likewise
	stats  []stats.Handler
	auth   auth.Authorizer
	tokens *token.Store
	logger *slog.Logger
	limits Limits
	other  *grpc.StreamDesc // takes what has no service or method, or nil
	owner  bool             // auth is auth.OwnerOnly, whose answer holds for a connection
	frozen bool             // guarded by mu: calls may come

	handlers *sync.WaitGroup // that run; nil: nobody waits for them
}

func newRegistry(logger *slog.Logger, limits Limits, a auth.Authorizer) *registry {
	r := &registry{services: map[string]*service{}, logger: logger, limits: limits}
	if a == nil {
		a = auth.OwnerOnly{}
	}
	_, r.owner = a.(auth.OwnerOnly)
	r.auth = auth.LogDenials(a, logger)
	return r
}

// RegisterService implements grpc.ServiceRegistrar. Like grpc-go's it does not
// return from a mistake of the program's.
func (r *registry) RegisterService(desc *grpc.ServiceDesc, impl any) {
	if err := r.register(desc, impl); err != nil {
		panic(err) //nolint:forbidigo // the interface has no error, and the program is wrong
	}
}

type service struct {
	desc    *grpc.ServiceDesc
	impl    any
	methods map[string]*method
	handled bool // by Handle, method by method
}

// method is one that can be called.
type method struct {
	full    string // "/package.Service/Method"
	service *service
	unary   *grpc.MethodDesc
	stream  *grpc.StreamDesc
	missing *status.Status // there is no such method: what to answer
	pace    pace
}

func (r *registry) register(desc *grpc.ServiceDesc, impl any) error {
	if impl != nil && desc.HandlerType != nil {
		if want := reflect.TypeOf(desc.HandlerType).Elem(); !reflect.TypeOf(impl).Implements(want) {
			return fmt.Errorf("rpc: %T does not implement %v", impl, want)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.frozen {
		return fmt.Errorf("rpc: service %s is registered after Serve", desc.ServiceName)
	}
	if r.services[desc.ServiceName] != nil {
		return fmt.Errorf("rpc: service %s is registered twice", desc.ServiceName)
	}
	s := &service{desc: desc, impl: impl, methods: map[string]*method{}}
	for i := range desc.Methods {
		m := &desc.Methods[i]
		s.methods[m.MethodName] = &method{full: "/" + desc.ServiceName + "/" + m.MethodName, service: s, unary: m}
	}
	for i := range desc.Streams {
		m := &desc.Streams[i]
		s.methods[m.StreamName] = &method{full: "/" + desc.ServiceName + "/" + m.StreamName, service: s, stream: m}
	}
	r.services[desc.ServiceName] = s
	return nil
}

// find returns the method of that name; one that is not there answers so, or
// is left to the handler of unknown ones.
func (r *registry) find(full string) *method {
	m := r.lookUp(full)
	if m.missing != nil && r.other != nil && m.service != malformed {
		return &method{full: full, service: &service{}, stream: r.other}
	}
	return m
}

var malformed = new(service) // of a name that is none

func (r *registry) lookUp(full string) *method {
	name, rooted := strings.CutPrefix(full, "/")
	slash := strings.LastIndexByte(name, '/')
	if !rooted || slash < 0 {
		return &method{full: full, service: malformed, missing: status.Newf(codes.Unimplemented, "malformed method name: %q", full)}
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	s := r.services[name[:slash]]
	if s == nil {
		return &method{full: full, missing: status.Newf(codes.Unimplemented, "unknown service %v", name[:slash])}
	}
	if m := s.methods[name[slash+1:]]; m != nil {
		return m
	}
	return &method{full: full, missing: status.Newf(codes.Unimplemented, "unknown method %v for service %v", name[slash+1:], name[:slash])}
}

// info is grpc.Server's GetServiceInfo.
func (r *registry) info() map[string]grpc.ServiceInfo {
	r.mu.RLock()
	defer r.mu.RUnlock()
	all := map[string]grpc.ServiceInfo{}
	for name, s := range maps.All(r.services) {
		info := grpc.ServiceInfo{Metadata: s.desc.Metadata}
		for _, m := range s.desc.Methods {
			info.Methods = append(info.Methods, grpc.MethodInfo{Name: m.MethodName})
		}
		for _, m := range s.desc.Streams {
			info.Methods = append(info.Methods, grpc.MethodInfo{Name: m.StreamName, IsClientStream: m.ClientStreams, IsServerStream: m.ServerStreams})
		}
		all[name] = info
	}
	return all
}

// enter and leave count a handler that runs, if anybody waits for them.
func (r *registry) enter() {
	if r.handlers != nil {
		r.handlers.Add(1)
	}
}

func (r *registry) leave() {
	if r.handlers != nil {
		r.handlers.Done()
	}
}

// freeze refuses services from now on.
func (r *registry) freeze() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.frozen = true
}

// each calls f for every service.
func (r *registry) each(f func(*grpc.ServiceDesc, any)) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, s := range r.services {
		f(s.desc, s.impl)
	}
}
