// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/parley-ipc/parley/internal/schema"
)

func rpcListVerb(a *app) *cobra.Command {
	var r rpcFlags
	cmd := &cobra.Command{
		Use:   "list ADDR [SERVICE]",
		Short: "List the services of a server, or the methods of one",
		Example: `  parley rpc list unix://greeter
  parley rpc list unix://greeter parley.greeter.v1.Greeter`,
		Args: rangeArgs(1, 2, "ADDR and maybe a SERVICE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withSchema(cmd.Context(), &r, args[0], func(_ context.Context, _ channel, s *schema.Schema) error {
				names, err := listed(s, args[1:])
				if err != nil {
					return err
				}
				return a.printNames(names)
			})
		},
	}
	r.addSchema(cmd)
	return cmd
}

func listed(s *schema.Schema, service []string) ([]string, error) {
	if len(service) == 0 {
		return s.Services()
	}
	d, err := s.Service(service[0])
	if err != nil {
		return nil, err
	}
	names := []string{}
	for i := range d.Methods().Len() {
		names = append(names, fmt.Sprintf("%s/%s", d.FullName(), d.Methods().Get(i).Name()))
	}
	return names, nil
}

func (a *app) printNames(names []string) error {
	if a.json {
		return a.printJSON(names)
	}
	for _, name := range names {
		if _, err := fmt.Fprintln(a.out, name); err != nil {
			return err
		}
	}
	return nil
}

func rpcDescribeVerb(a *app) *cobra.Command {
	var r rpcFlags
	cmd := &cobra.Command{
		Use:   "describe ADDR [SYMBOL…]",
		Short: "Show services, methods and messages as .proto text",
		Long: `Shows each SYMBOL (a service, method, message or enum by its full name) as the
text of a .proto file; without one, every service.`,
		Example: `  parley rpc describe unix://greeter
  parley rpc describe unix://greeter parley.greeter.v1.GreetRequest`,
		Args: minArgs(1, "ADDR and maybe SYMBOLs"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withSchema(cmd.Context(), &r, args[0], func(_ context.Context, _ channel, s *schema.Schema) error {
				return a.describe(s, args[1:])
			})
		},
	}
	r.addSchema(cmd)
	return cmd
}

// description is what describe prints as JSON.
type description struct {
	Symbol string `json:"symbol"`
	Text   string `json:"text"`
}

func (a *app) describe(s *schema.Schema, symbols []string) error {
	if len(symbols) == 0 {
		var err error
		if symbols, err = s.Services(); err != nil {
			return err
		}
	}
	described := []description{}
	for _, symbol := range symbols {
		text, err := s.Describe(symbol)
		if err != nil {
			return err
		}
		described = append(described, description{symbol, text})
	}
	if a.json {
		return a.printJSON(described)
	}
	for _, d := range described {
		if _, err := fmt.Fprint(a.out, d.Text); err != nil {
			return err
		}
	}
	return nil
}
