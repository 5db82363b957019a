// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/parley-ipc/parley/child"
)

// The words that a plugin knows: it answers the first with its pid, and dies
// of the second.
const (
	wordPID = "pid"
	wordDie = "die"
)

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
