// SPDX-License-Identifier: Apache-2.0

package exec

import (
	"io"
	"os"
	"time"

	"github.com/parley-ipc/parley/transport"
)

// DefaultGrace is how long a child may take to end once it has been told.
const DefaultGrace = 3 * time.Second

// Config says how Dial starts a child. Its zero value works.
type Config struct {
	// DialConfig: HandshakeTimeout bounds how long a child may take to accept
	// the descriptor that PARLEY_FD offers. Logger gets the child's stderr.
	transport.DialConfig

	// Env is the child's environment, as "key=value". Default: our own.
	Env []string

	// Dir is the child's working directory. Default: our own.
	Dir string

	// Grace is how long the child has, after Close has ended its stdin, before
	// its process group is killed; and how long what it left running may hold
	// its output once the child itself has ended. Default 3 s; less than 0
	// means not at all.
	Grace time.Duration

	// Stderr gets what the child writes on stderr; an *os.File is given to the
	// child itself. Default: the Logger, line by line.
	Stderr io.Writer

	// UID and GID are whose process the child becomes, without supplementary
	// groups. Default: our own. GID defaults to UID where UID is set.
	UID, GID *uint32
}

func (c Config) withDefaults() Config {
	c.DialConfig = c.DialConfig.WithDefaults()
	if c.Grace == 0 {
		c.Grace = DefaultGrace
	}
	c.Grace = max(c.Grace, 0)
	return c
}

// ExitError is how a child ended that did not end well: errors.As finds it in
// what Read, Write and Wait return.
type ExitError struct{ *os.ProcessState }

// Error reads "exit status 3" or "signal: killed".
func (e *ExitError) Error() string { return e.ProcessState.String() }
