// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func signalVerb(a *app) *cobra.Command {
	var value int
	cmd := &cobra.Command{
		Use:   "signal PID|NAME SIG",
		Short: "Send a signal, with a value if need be",
		Long: `Sends SIG (TERM, SIGTERM, 15, RTMIN+2) to the process PID, or to whoever listens
at NAME: an address, or a name in the runtime directory. The process is held by a
handle before it is signalled, so that a later one with its number never is. With
--value it is queued with that number, as sigqueue(3) does, for a receiver that
reads values, such as process.Receive.`,
		Example: `  parley signal 4711 TERM
  parley signal orders HUP
  parley signal 4711 RTMIN+1 --value 42`,
		Args: exactArgs(2, "PID or NAME, and SIG"),
		RunE: func(cmd *cobra.Command, args []string) error {
			sig, err := parseSignal(args[1])
			if err != nil {
				return usageError{err}
			}
			p, err := openTarget(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			defer func() { _ = p.Close() }()
			if cmd.Flags().Changed("value") {
				err = p.SignalValue(sig, value)
			} else {
				err = p.Signal(sig)
			}
			if err == nil && a.json {
				return a.printJSON(map[string]any{"pid": p.Pid(), "signal": int(sig)})
			}
			if err == nil {
				_, err = fmt.Fprintf(a.out, "pid %d: %s\n", p.Pid(), sig)
			}
			return err
		},
	}
	cmd.Flags().IntVar(&value, "value", 0, "queue the signal with this number")
	return cmd
}
