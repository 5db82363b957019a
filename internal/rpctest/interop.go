// SPDX-License-Identifier: Apache-2.0

package rpctest

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/interop"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
)

// interopCases are the cases of gRPC's own interoperability tests, as
// google.golang.org/grpc/interop has them. They end the process when they
// fail, so each is played in a child.
var interopCases = []struct {
	name string
	play func(context.Context, pb.TestServiceClient, ...grpc.CallOption)
}{
	{"empty_unary", interop.DoEmptyUnaryCall},
	{"large_unary", interop.DoLargeUnaryCall},
	{"client_streaming", interop.DoClientStreaming},
	{"server_streaming", interop.DoServerStreaming},
	{"ping_pong", interop.DoPingPong},
	{"empty_stream", interop.DoEmptyStream},
	{"timeout_on_sleeping_server", interop.DoTimeoutOnSleepingServer},
	{"cancel_after_begin", interop.DoCancelAfterBegin},
	{"cancel_after_first_response", interop.DoCancelAfterFirstResponse},
	{"custom_metadata", interop.DoCustomMetadata},
	{"status_code_and_message", interop.DoStatusCodeAndMessage},
	{"special_status_message", interop.DoSpecialStatusMessage},
}

// interopOnChannel are those that want more than the service's stubs.
var interopOnChannel = map[string]func(context.Context, grpc.ClientConnInterface) error{
	"unimplemented_service": func(ctx context.Context, cc grpc.ClientConnInterface) error {
		interop.DoUnimplementedService(ctx, pb.NewUnimplementedServiceClient(cc))
		return nil
	},
	// interop.DoUnimplementedMethod itself takes a *grpc.ClientConn.
	"unimplemented_method": func(ctx context.Context, cc grpc.ClientConnInterface) error {
		_, err := pb.NewTestServiceClient(cc).UnimplementedCall(ctx, new(pb.Empty))
		if status.Code(err) != codes.Unimplemented {
			return fmt.Errorf("the call ended with %w", err)
		}
		return nil
	},
}

// InteropExcluded are the cases that are not played, with the reason.
var InteropExcluded = map[string]string{
	"compute_engine_creds":               "credentials of a cloud",
	"service_account_creds":              "credentials of a cloud",
	"jwt_token_creds":                    "credentials of a cloud",
	"per_rpc_creds":                      "credentials of a cloud",
	"oauth2_auth_token":                  "credentials of a cloud",
	"google_default_credentials":         "credentials of a cloud",
	"compute_engine_channel_credentials": "credentials of a cloud",
	"pick_first_unary":                   "asks a balancer which of several servers answers",
	"rpc_soak":                           "makes its own *grpc.ClientConn",
	"channel_soak":                       "makes its own *grpc.ClientConn",
	"orca_per_rpc":                       "load reports to grpc-go's balancer",
	"orca_oob":                           "load reports to grpc-go's balancer",
}

// InteropCases are the names of all cases that are played.
func InteropCases() []string {
	var names []string
	for _, c := range interopCases {
		names = append(names, c.name)
	}
	for name := range interopOnChannel {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Interop plays one case. Most of them end the process when they fail.
func Interop(ctx context.Context, name string, cc grpc.ClientConnInterface) error {
	if play := interopOnChannel[name]; play != nil {
		return play(ctx, cc)
	}
	for _, c := range interopCases {
		if c.name == name {
			c.play(ctx, pb.NewTestServiceClient(cc))
			return nil
		}
	}
	return fmt.Errorf("no case %q", name)
}

// RegisterInterop registers the server of all cases.
func RegisterInterop(r grpc.ServiceRegistrar) {
	pb.RegisterTestServiceServer(r, interop.NewTestServer())
}
