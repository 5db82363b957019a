// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"context"
	"os"
	"slices"

	"github.com/bufbuild/protocompile"
	"github.com/jhump/protoreflect/v2/protoresolve"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/parley-ipc/parley/fault"
)

// Compile reads .proto files, which are named from one of the import paths
// (default: the current directory), and what they import.
func Compile(ctx context.Context, importPaths, files []string) (*Schema, error) {
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: importPaths}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	compiled, err := compiler.Compile(ctx, files...)
	if err != nil {
		return nil, fault.New(fault.Invalid, "compile", "", err)
	}
	registry := new(protoregistry.Files)
	for _, file := range compiled {
		if err := register(registry, file); err != nil {
			return nil, err
		}
	}
	return known(registry), nil
}

// register adds a file after all that it imports.
func register(registry *protoregistry.Files, file protoreflect.FileDescriptor) error {
	if _, err := registry.FindFileByPath(file.Path()); err == nil {
		return nil
	}
	for i := range file.Imports().Len() {
		if err := register(registry, file.Imports().Get(i).FileDescriptor); err != nil {
			return err
		}
	}
	return fault.Wrap("compile", file.Path(), registry.RegisterFile(file))
}

// ReadSets reads compiled sets, as protoc --descriptor_set_out writes them
// with --include_imports.
func ReadSets(paths []string) (*Schema, error) {
	all := new(descriptorpb.FileDescriptorSet)
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, fault.Wrap("read a descriptor set", path, err)
		}
		set := new(descriptorpb.FileDescriptorSet)
		if err := proto.Unmarshal(raw, set); err != nil {
			return nil, fault.New(fault.Invalid, "read a descriptor set", path, err)
		}
		for _, file := range set.GetFile() {
			if !slices.ContainsFunc(all.GetFile(), func(f *descriptorpb.FileDescriptorProto) bool { return f.GetName() == file.GetName() }) {
				all.File = append(all.File, file)
			}
		}
	}
	registry, err := protodesc.NewFiles(all)
	if err != nil {
		return nil, fault.New(fault.Invalid, "read a descriptor set", "", err).WithHint("make it with protoc --include_imports")
	}
	return known(registry), nil
}

// known is a schema that asks nobody.
func known(registry *protoregistry.Files) *Schema {
	services := func() ([]protoreflect.FullName, error) {
		var names []protoreflect.FullName
		registry.RangeFiles(func(file protoreflect.FileDescriptor) bool {
			for i := range file.Services().Len() {
				names = append(names, file.Services().Get(i).FullName())
			}
			return true
		})
		return names, nil
	}
	return &Schema{protoresolve.ResolverFromPool(registry), services, func() {}}
}
