// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	health "google.golang.org/grpc/health/grpc_health_v1"
)

func rpcHealthVerb(a *app) *cobra.Command {
	var r rpcFlags
	cmd := &cobra.Command{
		Use:   "health ADDR [SERVICE]",
		Short: "Ask a server, or one of its services, whether it serves",
		Long: `Asks grpc.health.v1 and prints the answer. The exit code is 0 for SERVING, 1 for
anything else.`,
		Example: "  parley rpc health shm://greeter",
		Args:    rangeArgs(1, 2, "ADDR and maybe a SERVICE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withChannel(cmd.Context(), &r, args[0], func(ctx context.Context, cc channel) error {
				request := new(health.HealthCheckRequest)
				if len(args) > 1 {
					request.Service = args[1]
				}
				ctx, cancel := context.WithTimeout(ctx, a.timeout)
				defer cancel()
				answer, err := health.NewHealthClient(cc).Check(ctx, request)
				if err != nil {
					return err
				}
				return a.printHealth(request.GetService(), answer.GetStatus())
			})
		},
	}
	r.add(cmd)
	return cmd
}

func (a *app) printHealth(service string, state health.HealthCheckResponse_ServingStatus) error {
	var err error
	if a.json {
		err = a.printJSON(map[string]string{"service": service, "status": state.String()})
	} else {
		_, err = fmt.Fprintln(a.out, state)
	}
	if err == nil && state != health.HealthCheckResponse_SERVING {
		return codeError(exitFailed)
	}
	return err
}
