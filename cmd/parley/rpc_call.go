// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/parley-ipc/parley/internal/schema"
)

// callFlags are those of rpc call.
type callFlags struct {
	rpcFlags
	data    string
	format  rpcFormat
	maxTime time.Duration
	verbose bool
}

func rpcCallVerb(a *app) *cobra.Command {
	var f callFlags
	cmd := &cobra.Command{
		Use:   "call ADDR METHOD",
		Short: "Call a method with JSON, and print what it answers as JSON",
		Long: `Calls METHOD, written pkg.Service/Method. Requests are JSON: --data itself, a file
(@FILE), or stdin (-), one value after the other where the method takes a stream;
what comes from stdin is sent as it is read. Without --data the request is empty,
and a stream of requests has none. An answer is printed as indented JSON; of a
stream, and with --json, each is a line.

A method with one answer has --timeout for it; a stream ends when it ends, or
after --max-time, which bounds any call.`,
		Example: `  parley rpc call shm://greeter parley.greeter.v1.Greeter/Greet -d '{"name": "you"}'
  parley rpc call tcp://127.0.0.1:7000 pkg.Service/Watch -H 'authorization: Bearer x' -d @query.json
  printf '{"name":"a"} {"name":"b"}' | parley rpc call unix://greeter parley.greeter.v1.Greeter/Chat -d -`,
		Args: exactArgs(2, "ADDR and METHOD"),
		RunE: func(cmd *cobra.Command, args []string) error {
			input, err := a.requests(f.data)
			if err != nil {
				return err
			}
			defer func() { _ = input.Close() }()
			return a.withSchema(cmd.Context(), &f.rpcFlags, args[0], func(ctx context.Context, cc channel, s *schema.Schema) error {
				method, err := s.Method(args[1])
				if err != nil {
					return err
				}
				return a.call(ctx, &f, cc, s, method, input)
			})
		},
	}
	f.addSchema(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&f.data, "data", "d", "", "the request: JSON, @FILE, or - for stdin")
	flags.BoolVar(&f.format.defaults, "emit-defaults", false, "print fields that have their default value, too")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "show the metadata that comes back, on stderr")
	flags.DurationVar(&f.maxTime, "max-time", 0, "bound on the whole call")
	return cmd
}

// requests opens what --data says.
func (a *app) requests(data string) (io.ReadCloser, error) {
	switch {
	case data == "-":
		return io.NopCloser(a.in), nil
	case strings.HasPrefix(data, "@"):
		f, err := os.Open(data[1:])
		if err != nil {
			return nil, usageError{fmt.Errorf("--data: %w", err)}
		}
		return f, nil
	}
	return io.NopCloser(strings.NewReader(data)), nil
}

// call makes one call of any kind.
func (a *app) call(ctx context.Context, f *callFlags, cc channel, s *schema.Schema, method protoreflect.MethodDescriptor, input io.Reader) error {
	f.format.types = s.Types()
	f.format.lines = a.json || method.IsStreamingServer()
	limit := f.maxTime
	if limit <= 0 && !method.IsStreamingServer() && !method.IsStreamingClient() {
		limit = a.timeout
	}
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	c := &oneCall{app: a, flags: f, cc: cc, method: method, requests: newRequests(method.Input(), f.format.types, input)}
	if method.IsStreamingClient() || method.IsStreamingServer() {
		return c.stream(ctx)
	}
	return c.unary(ctx)
}

// oneCall is a call under way.
type oneCall struct {
	app      *app
	flags    *callFlags
	cc       channel
	method   protoreflect.MethodDescriptor
	requests *requestReader
}

func (c *oneCall) path() string {
	return fmt.Sprintf("/%s/%s", c.method.Parent().FullName(), c.method.Name())
}

func (c *oneCall) unary(ctx context.Context) error {
	request, err := c.requests.only()
	if err != nil {
		return err
	}
	var header, trailer metadata.MD
	answer := dynamicpb.NewMessage(c.method.Output())
	err = c.cc.Invoke(ctx, c.path(), request, answer, grpc.Header(&header), grpc.Trailer(&trailer))
	c.showMetadata("header", header)
	if err == nil {
		err = c.print(answer)
	}
	c.showMetadata("trailer", trailer)
	return err
}

func (c *oneCall) stream(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	desc := &grpc.StreamDesc{StreamName: string(c.method.Name()), ServerStreams: c.method.IsStreamingServer(), ClientStreams: c.method.IsStreamingClient()}
	stream, err := c.cc.NewStream(ctx, desc, c.path())
	if err != nil {
		return err
	}
	// Not waited for where the server ends first: nothing ends a read of
	// stdin, and the process ends next.
	sent := make(chan error, 1)
	go func() {
		err := c.send(stream)
		sent <- err
		if err != nil {
			cancel()
		}
	}()
	err = c.receive(stream)
	c.showMetadata("trailer", stream.Trailer())
	if ctx.Err() != nil { // it may be that what we sent was wrong
		select {
		case sendErr := <-sent:
			if sendErr != nil {
				return sendErr
			}
		default:
		}
	}
	return err
}

// send sends every request; where the stream has broken, receive knows why.
func (c *oneCall) send(stream grpc.ClientStream) error {
	if !c.method.IsStreamingClient() {
		request, err := c.requests.only()
		if err != nil {
			return err
		}
		return ignoreEOF(errors.Join(stream.SendMsg(request), stream.CloseSend()))
	}
	for {
		request, err := c.requests.next()
		if errors.Is(err, io.EOF) {
			return ignoreEOF(stream.CloseSend())
		}
		if err != nil {
			return err
		}
		if err := stream.SendMsg(request); err != nil {
			return ignoreEOF(err)
		}
	}
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func (c *oneCall) receive(stream grpc.ClientStream) error {
	header, err := stream.Header()
	if err == nil {
		c.showMetadata("header", header)
	}
	for {
		answer := dynamicpb.NewMessage(c.method.Output())
		if err := stream.RecvMsg(answer); err != nil {
			return ignoreEOF(err)
		}
		if err := c.print(answer); err != nil {
			return err
		}
		if !c.method.IsStreamingServer() {
			return nil
		}
	}
}

func (c *oneCall) print(answer proto.Message) error {
	line, err := c.flags.format.json(answer)
	if err != nil {
		return err
	}
	_, err = c.app.out.Write(append(line, '\n'))
	return err
}

func (c *oneCall) showMetadata(what string, md metadata.MD) {
	if c.flags.verbose {
		showMetadata(c.app.err, what, md)
	}
}
