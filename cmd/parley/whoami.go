// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
)

// identity is how an auth.Identity is shown in JSON.
type identity struct {
	Name   string   `json:"name"`
	Method string   `json:"method"`
	UID    *uint32  `json:"uid,omitempty"`
	GID    *uint32  `json:"gid,omitempty"`
	Groups []uint32 `json:"groups,omitempty"`
	PID    int      `json:"pid,omitempty"`
}

func showIdentity(id auth.Identity) identity {
	s := identity{Name: id.String(), Method: string(id.Method), Groups: id.Groups, PID: id.PID}
	if id.HasUID {
		s.UID, s.GID = &id.UID, &id.GID
	}
	return s
}

// tellIdentity is the answer of parley listen --whoami: one line of JSON.
func tellIdentity(conn transport.Conn) error {
	if err := conn.SetWriteDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	return errors.Join(json.NewEncoder(conn).Encode(showIdentity(conn.Peer())), conn.CloseWrite())
}

func whoamiVerb(a *app) *cobra.Command {
	var c connectFlags
	var ask bool
	cmd := &cobra.Command{
		Use:   "whoami ADDR",
		Short: "Show who listens on ADDR, and who we are to it",
		Long: `Connects to ADDR and shows who listens there and how that is known. With --ask
it also reads who we are to the listener, which must be parley listen --whoami.
A listener that refuses us ends it with exit code 3 where the transport tells.`,
		Example: `  parley listen shm://door --keep --whoami &
  parley whoami shm://door --ask`,
		Args: exactArgs(1, "ADDR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			conn, err := a.dial(cmd.Context(), &c, args[0])
			if err != nil {
				return err
			}
			defer func() { _ = conn.Close() }()
			answer := struct {
				Address  string    `json:"address"`
				Listener identity  `json:"listener"`
				We       *identity `json:"we,omitempty"`
			}{Address: args[0], Listener: showIdentity(conn.Peer())}
			if ask {
				if answer.We, err = a.askIdentity(conn, args[0]); err != nil {
					return err
				}
			}
			if a.json {
				return a.printJSON(answer)
			}
			fmt.Fprintf(a.out, "listener: %s\n", answer.Listener)
			if answer.We != nil {
				fmt.Fprintf(a.out, "we:       %s\n", *answer.We)
			}
			return nil
		},
	}
	c.addDial(cmd)
	cmd.Flags().BoolVar(&ask, "ask", false, "read who we are from a parley listen --whoami")
	return cmd
}

func (a *app) askIdentity(conn transport.Conn, address string) (*identity, error) {
	if err := conn.SetReadDeadline(time.Now().Add(a.timeout)); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(io.LimitReader(conn, 64<<10)).ReadBytes('\n')
	if errors.Is(err, io.EOF) {
		return nil, fault.New(fault.Denied, "whoami", address, errors.New("the listener closed the connection without a word: it most likely denies us")).
			WithHint("its log names the rule; if it is not parley listen --whoami, leave out --ask")
	}
	if err != nil {
		return nil, fault.Wrap("whoami", address, err)
	}
	var we identity
	if err := json.Unmarshal(line, &we); err != nil {
		return nil, fault.New(fault.Protocol, "whoami", address, errors.New("the listener is not parley listen --whoami")).WithHint("leave out --ask")
	}
	return &we, nil
}

func (i identity) String() string {
	s := fmt.Sprintf("%s (%s", harmless(i.Name), harmless(i.Method))
	if i.PID != 0 {
		s += fmt.Sprintf(", pid %d", i.PID)
	}
	return s + ")"
}
