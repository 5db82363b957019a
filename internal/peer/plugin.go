// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/parley-ipc/parley/child"
	pidfd "github.com/parley-ipc/parley/primitive/process"
)

// The words that a plugin knows: it answers the first with its pid, dies of the
// second, and answers the third with the next signal that comes.
const (
	wordPID    = "pid"
	wordDie    = "die"
	wordSignal = "signal"
)

// PluginSignal is the signal that a plugin receives with its sender and value:
// a real-time one.
const PluginSignal = syscall.Signal(40)

// pluginDeath is the exit status of a plugin that was told to die.
const pluginDeath = 3

// Plugin is how child.Start starts this program as a plugin of the stage's.
func (s *Stage) Plugin() (child.Config, error) {
	argument, err := Role{Plugin: true}.argument()
	if err != nil {
		return child.Config{}, err
	}
	return child.Config{Path: s.Program[0], Args: append(s.Program[1:len(s.Program):len(s.Program)], argument), Name: "plugin"}, nil
}

func servePlugin(ctx context.Context) error {
	if err := pidfd.BlockSignals(PluginSignal); err != nil {
		return err
	}
	signals, err := pidfd.Receive(PluginSignal)
	if err != nil {
		return err
	}
	defer func() { _ = signals.Close() }()
	conn, _, err := child.Connect(ctx, child.ListenConfig{})
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	for in := bufio.NewScanner(conn); in.Scan(); {
		switch in.Text() {
		case wordPID:
			if _, err := fmt.Fprintln(conn, os.Getpid()); err != nil {
				return err
			}
		case wordDie:
			os.Exit(pluginDeath)
		case wordSignal:
			got, err := signals.Next(ctx)
			if err == nil {
				err = json.NewEncoder(conn).Encode(got)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// AskPID asks a plugin who it is, over its connection.
func AskPID(conn io.ReadWriter) (int, error) {
	if _, err := fmt.Fprintln(conn, wordPID); err != nil {
		return 0, err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(line))
}

// TellDie makes a plugin fail.
func TellDie(conn io.Writer) error {
	_, err := fmt.Fprintln(conn, wordDie)
	return err
}

// AskSignal makes a plugin wait for a signal, has send send it, and returns what
// the plugin received.
func AskSignal(conn io.ReadWriter, send func() error) (pidfd.Received, error) {
	var got pidfd.Received
	if _, err := fmt.Fprintln(conn, wordSignal); err != nil {
		return got, err
	}
	if err := send(); err != nil {
		return got, err
	}
	line, err := bufio.NewReader(conn).ReadBytes('\n')
	if err != nil {
		return got, err
	}
	return got, json.Unmarshal(line, &got)
}
