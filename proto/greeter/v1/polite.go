// SPDX-License-Identifier: Apache-2.0

package greeter

import (
	"context"
	"errors"
	"io"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Polite greets whoever has a name. The zero value works.
type Polite struct {
	UnimplementedGreeterServer
	Greeting string // default "hello"
}

var _ GreeterServer = Polite{}

func (p Polite) greet(name string, number int32) (*GreetResponse, error) {
	if name == "" {
		return nil, status.Error(codes.InvalidArgument, "nobody to greet: give a name")
	}
	word := p.Greeting
	if word == "" {
		word = "hello"
	}
	return &GreetResponse{Text: word + ", " + name, Number: number}, nil
}

// Greet answers one name; without one it is codes.InvalidArgument.
func (p Polite) Greet(_ context.Context, r *GreetRequest) (*GreetResponse, error) {
	return p.greet(r.GetName(), 0)
}

// Count greets a name Times times, or until the caller has gone.
func (p Polite) Count(r *CountRequest, stream grpc.ServerStreamingServer[GreetResponse]) error {
	for n := range r.GetTimes() {
		answer, err := p.greet(r.GetName(), n)
		if err != nil {
			return err
		}
		if err := stream.Send(answer); err != nil {
			return err
		}
	}
	return nil
}

// Together greets all names when the last one has come.
func (p Polite) Together(stream grpc.ClientStreamingServer[GreetRequest, GreetResponse]) error {
	var names []string
	for {
		r, err := stream.Recv()
		if err == nil {
			names = append(names, r.GetName())
			continue
		}
		if !errors.Is(err, io.EOF) {
			return err
		}
		answer, err := p.greet(strings.Join(names, " and "), 0)
		if err != nil {
			return err
		}
		return stream.SendAndClose(answer)
	}
}

// Chat greets each name as it comes, until the caller has no more.
func (p Polite) Chat(stream grpc.BidiStreamingServer[GreetRequest, GreetResponse]) error {
	for n := int32(0); ; n++ {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		answer, err := p.greet(r.GetName(), n)
		if err != nil {
			return err
		}
		if err := stream.Send(answer); err != nil {
			return err
		}
	}
}
