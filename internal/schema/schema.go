// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jhump/protoreflect/v2/grpcreflect"
	"github.com/jhump/protoreflect/v2/protoprint"
	"github.com/jhump/protoreflect/v2/protoresolve"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/parley-ipc/parley/fault"
)

// Schema knows services, methods and messages by name. Its methods may run
// concurrently.
type Schema struct {
	resolver protoresolve.Resolver
	services func() ([]protoreflect.FullName, error)
	close    func()
}

// Ask returns what the server at cc tells about itself, by grpc.reflection.v1
// or, where the server is older, v1alpha. ctx bounds everything that is asked
// later, too. The caller closes it before cc.
func Ask(ctx context.Context, cc grpc.ClientConnInterface) *Schema {
	client := grpcreflect.NewClientAuto(ctx, cc)
	return &Schema{client.AsResolver(), client.ListServices, client.Reset}
}

// Close ends the questions to the server, if any are under way.
func (s *Schema) Close() { s.close() }

// Services are the full names of all services, sorted.
func (s *Schema) Services() ([]string, error) {
	names, err := s.services()
	if err != nil {
		return nil, unanswered("list services", "", err)
	}
	texts := make([]string, 0, len(names))
	for _, name := range names {
		texts = append(texts, string(name))
	}
	slices.Sort(texts)
	return texts, nil
}

// Service returns the service of that full name.
func (s *Schema) Service(name string) (protoreflect.ServiceDescriptor, error) {
	d, err := s.find("find service", name)
	if err != nil {
		return nil, err
	}
	service, ok := d.(protoreflect.ServiceDescriptor)
	if !ok {
		return nil, fault.New(fault.NotFound, "find service", name, fmt.Errorf("%s is not a service", kindOf(d)))
	}
	return service, nil
}

// Method returns the method written as pkg.Service/Method or
// pkg.Service.Method.
func (s *Schema) Method(name string) (protoreflect.MethodDescriptor, error) {
	name = strings.TrimPrefix(name, "/")
	cut := max(strings.LastIndexByte(name, '/'), strings.LastIndexByte(name, '.'))
	if cut < 1 {
		return nil, fault.New(fault.Invalid, "find method", name, errors.New("it names no service")).WithHint("write pkg.Service/Method")
	}
	service, err := s.Service(name[:cut])
	if err != nil {
		return nil, err
	}
	method := service.Methods().ByName(protoreflect.Name(name[cut+1:]))
	if method == nil {
		return nil, fault.New(fault.NotFound, "find method", name, fmt.Errorf("%s has no such method", service.FullName())).
			WithHint("it has " + strings.Join(methodNames(service), ", "))
	}
	return method, nil
}

func methodNames(service protoreflect.ServiceDescriptor) []string {
	var names []string
	for i := range service.Methods().Len() {
		names = append(names, string(service.Methods().Get(i).Name()))
	}
	return names
}

// Describe returns a service, method, message, enum or extension as the text
// of a .proto file.
func (s *Schema) Describe(symbol string) (string, error) {
	name := strings.ReplaceAll(strings.TrimPrefix(symbol, "/"), "/", ".")
	d, err := s.find("describe", name)
	if err != nil {
		return "", err
	}
	printer := protoprint.Printer{}
	text, err := printer.PrintProtoToString(d)
	if err != nil {
		return "", fault.Wrap("describe", name, err)
	}
	return fmt.Sprintf("%s is %s:\n%s", d.FullName(), kindOf(d), text), nil
}

func (s *Schema) find(op, name string) (protoreflect.Descriptor, error) {
	full := protoreflect.FullName(name)
	if !full.IsValid() {
		return nil, fault.New(fault.Invalid, op, name, errors.New("it is no name")).WithHint("write pkg.Service/Method")
	}
	d, err := s.resolver.FindDescriptorByName(full)
	if err != nil {
		return nil, unanswered(op, name, err)
	}
	return d, nil
}

// Types resolves message types by name and URL, for Any and extensions.
func (s *Schema) Types() protoresolve.TypeResolver { return s.resolver.AsTypeResolver() }

// unanswered explains why a question has no answer.
func unanswered(op, name string, err error) error {
	st, isStatus := status.FromError(err)
	switch {
	case isStatus && st.Code() == codes.Unimplemented:
		return fault.New(fault.Unsupported, op, name, errors.New("the server has no reflection")).
			WithHint("say what it serves: --proto FILE, or --protoset FILE")
	case isStatus && st.Code() == codes.NotFound, errors.Is(err, protoresolve.ErrNotFound), grpcreflect.IsElementNotFoundError(err):
		return fault.New(fault.NotFound, op, name, err).WithHint("`parley rpc list ADDR` shows what is there")
	}
	return fmt.Errorf("%s %s: %w", op, name, err)
}

func kindOf(d protoreflect.Descriptor) string {
	switch d := d.(type) {
	case protoreflect.ServiceDescriptor:
		return "a service"
	case protoreflect.MethodDescriptor:
		return "a method"
	case protoreflect.MessageDescriptor:
		return "a message"
	case protoreflect.EnumDescriptor:
		return "an enum"
	case protoreflect.EnumValueDescriptor:
		return "an enum's value"
	case protoreflect.FieldDescriptor:
		if d.IsExtension() {
			return "an extension"
		}
		return "a field"
	case protoreflect.OneofDescriptor:
		return "a oneof"
	}
	return "a file"
}
