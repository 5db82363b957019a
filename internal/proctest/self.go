// SPDX-License-Identifier: Apache-2.0

package proctest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Role is what a child process does. Its error goes to stderr and makes the
// exit status 1.
type Role func(p *Self) error

const (
	roleEnv    = "PARLEY_PROCTEST_ROLE"
	controlEnv = "PARLEY_PROCTEST_CONTROL" // set where stdin and stdout carry our lines

	// orphanGrace is how long a role may go on once its parent has gone.
	orphanGrace = 5 * time.Second
)

// Main runs the role that the environment names, or the tests Isolated, and
// exits.
func Main(m *testing.M, roles map[string]Role) {
	RunRole(roles)
	os.Exit(Isolated(m).Run())
}

// RunRole runs the role that the environment names and exits; without one it
// returns. It is for a TestMain that ends with goleak.VerifyTestMain(Isolated(m)).
func RunRole(roles map[string]Role) {
	name, ok := os.LookupEnv(roleEnv)
	if !ok {
		return
	}
	_, control := os.LookupEnv(controlEnv)
	_ = os.Unsetenv(roleEnv) // our own children are not in this role
	_ = os.Unsetenv(controlEnv)
	role, ok := roles[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "proctest: this test binary has no role %q\n", name)
		os.Exit(64)
	}
	self := &Self{Args: os.Args[1:], lines: make(chan string)}
	if control {
		go self.listen(os.Stdin)
	} else {
		close(self.lines)
	}
	if err := role(self); err != nil {
		fmt.Fprintf(os.Stderr, "role %s: %v\n", name, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Environ returns the variable that makes this binary take the role when
// something other than Start runs it, with stdin and stdout left to the role.
func Environ(role string) string { return roleEnv + "=" + role }

// Self is the child's side.
type Self struct {
	Args []string // immutable

	lines chan string // closed when the parent has gone or closed
	sayMu sync.Mutex
}

// Say writes a line to the parent. It may be called from many goroutines.
func (s *Self) Say(line string) {
	s.sayMu.Lock()
	defer s.sayMu.Unlock()
	_, _ = io.WriteString(os.Stdout, encode(line))
}

// Sayf is Say with a format.
func (s *Self) Sayf(format string, args ...any) { s.Say(fmt.Sprintf(format, args...)) }

// Hear waits for a line from the parent. It returns io.EOF when the parent
// has gone or called Done.
func (s *Self) Hear() (string, error) {
	line, ok := <-s.lines
	if !ok {
		return "", io.EOF
	}
	return line, nil
}

// listen is never waited for: it ends with the process.
func (s *Self) listen(r io.Reader) {
	in := bufio.NewReader(r)
	for {
		raw, err := in.ReadString('\n')
		if err != nil {
			time.AfterFunc(orphanGrace, func() { os.Exit(3) })
			close(s.lines)
			return
		}
		if line, ok := decode(raw); ok {
			s.lines <- line
		}
	}
}

// encode quotes a line, so that it may hold anything, and so that a stray
// print on stdout is not taken for one.
func encode(line string) string { return "\x01" + strconv.Quote(line) + "\n" }

func decode(raw string) (line string, ok bool) {
	if len(raw) < 2 || raw[0] != 1 {
		return "", false
	}
	line, err := strconv.Unquote(raw[1 : len(raw)-1])
	return line, err == nil
}
