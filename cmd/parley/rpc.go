// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/parley-ipc/parley/internal/schema"
)

func rpcVerb(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rpc",
		Short: "Call gRPC services over any transport",
		Long: `Lists, describes and calls the services of a server, Parley's or any gRPC
server, over any transport. What it serves is asked of the server itself
(reflection), or read with --proto or --protoset.

Calls go by Parley's own framing; who does not speak it is dialled once more, by
HTTP/2. --http2 begins with that.

Exit codes: 3 for PermissionDenied and Unauthenticated, 4 for DeadlineExceeded
and Unavailable, 1 for any other status.`,
		Example: `  parley rpc list unix://greeter
  parley rpc call shm://greeter parley.greeter.v1.Greeter/Greet -d '{"name": "you"}'`,
	}
	cmd.AddCommand(rpcListVerb(a), rpcDescribeVerb(a), rpcCallVerb(a), rpcHealthVerb(a))
	wantSubcommand(cmd)
	return cmd
}

// rpcFlags are those of every subcommand of rpc.
type rpcFlags struct {
	connectFlags
	protos, importPaths, sets []string
	headers                   []string
	authority                 string
	http2                     bool
}

func (r *rpcFlags) add(cmd *cobra.Command) {
	r.addDial(cmd)
	f := cmd.Flags()
	f.BoolVar(&r.http2, "http2", false, "speak HTTP/2, as any gRPC client does, and not Parley's framing")
	f.StringVar(&r.authority, "authority", "", "what to call the server in :authority (default: its host and port, or localhost)")
	f.StringArrayVarP(&r.headers, "header", "H", nil, "send this metadata, key:value; base64 where the key ends in -bin (repeatable)")
}

func (r *rpcFlags) addSchema(cmd *cobra.Command) {
	r.add(cmd)
	f := cmd.Flags()
	f.StringArrayVar(&r.protos, "proto", nil, "read what is served from this .proto file (repeatable)")
	f.StringArrayVar(&r.importPaths, "import-path", nil, "where --proto files and their imports lie (repeatable; default: here)")
	f.StringArrayVar(&r.sets, "protoset", nil, "read what is served from this compiled descriptor set (repeatable)")
}

// channel is what calls go through.
type channel interface {
	grpc.ClientConnInterface
	Close() error
}

// withSchema connects and runs work on what the server has.
func (a *app) withSchema(ctx context.Context, r *rpcFlags, address string, work func(context.Context, channel, *schema.Schema) error) error {
	return a.withChannel(ctx, r, address, func(ctx context.Context, cc channel) error {
		s, err := r.schema(ctx, bounded{cc, a.timeout})
		if err != nil {
			return err
		}
		defer s.Close()
		return work(ctx, cc, s)
	})
}

// withChannel connects and runs work with the metadata of --header.
func (a *app) withChannel(ctx context.Context, r *rpcFlags, address string, work func(context.Context, channel) error) error {
	ctx, err := r.outgoing(ctx)
	if err != nil {
		return err
	}
	cc, err := a.channel(ctx, r, address)
	if err != nil {
		return err
	}
	defer func() { _ = cc.Close() }()
	return asStatus(address, work(ctx, cc))
}

// schema is from files where there are any, else the server's own.
func (r *rpcFlags) schema(ctx context.Context, cc channel) (*schema.Schema, error) {
	switch {
	case len(r.protos) > 0 && len(r.sets) > 0:
		return nil, usageError{errors.New("--proto and --protoset: give one of them")}
	case len(r.protos) > 0:
		return schema.Compile(ctx, r.importPaths, r.protos)
	case len(r.sets) > 0:
		return schema.ReadSets(r.sets)
	}
	return schema.Ask(ctx, cc), nil
}

// statusError is a status that a server, or the way to it, answered.
type statusError struct {
	address string
	status  *status.Status
}

// asStatus makes a *statusError of an error that carries a status.
func asStatus(address string, err error) error {
	st, ok := status.FromError(err)
	if err == nil || !ok {
		return err
	}
	return &statusError{address: address, status: st}
}

func (e *statusError) Error() string {
	text := fmt.Sprintf("%s: %s: %s", e.address, e.status.Code(), e.status.Message())
	for _, detail := range e.status.Details() {
		text += fmt.Sprintf("\n  %T: %v", detail, detail)
	}
	return text
}

// exitCode is the code with which the process ends.
func (e *statusError) exitCode() int {
	switch e.status.Code() {
	case codes.PermissionDenied, codes.Unauthenticated:
		return exitDenied
	case codes.DeadlineExceeded, codes.Unavailable:
		return exitUnavailable
	default:
		return exitFailed
	}
}
