// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/parley-ipc/parley/fault"
)

// process is a child with its control line.
type process struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	events chan Event    // closed when the child has ended its stdout
	done   chan struct{} // closed when it has been reaped
	err    error         // how it ended; read after done
	once   sync.Once
}

// ErrNotAnother says that we cannot start another user's process.
var ErrNotAnother = errors.New("another user's process cannot be started")

// eventsKept is how many events wait for a reader before the child has to.
const eventsKept = 64

func (s *Stage) start(role Role, uid *uint32) (*process, error) {
	argument, err := role.argument()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(s.Program[0], append(s.Program[1:len(s.Program):len(s.Program)], argument)...)
	cmd.Env = s.environment()
	cmd.Stderr = s.Stderr
	if err := become(cmd, uid); err != nil {
		return nil, err
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		if uid != nil {
			err = errors.Join(ErrNotAnother, err) // a container's root may not be one
		}
		return nil, fault.Wrap("start", s.Program[0], err)
	}
	p := &process{cmd: cmd, stdin: stdin, events: make(chan Event, eventsKept), done: make(chan struct{})}
	go p.run(stdout)
	return p, nil
}

// run owns the child's stdout, and reaps the child.
func (p *process) run(stdout io.Reader) {
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		var e Event
		if json.Unmarshal(lines.Bytes(), &e) == nil {
			p.events <- e
		}
	}
	close(p.events)
	p.err = p.cmd.Wait()
	close(p.done)
}

// expect waits for the next event, which has to be of this kind.
func expect(ctx context.Context, events <-chan Event, want What) (Event, error) {
	select {
	case e, ok := <-events:
		if ok && e.What == want {
			return e, nil
		}
		if ok {
			return e, fault.New(fault.Protocol, "wait", "", fmt.Errorf("the peer says %q instead of %q", e, want))
		}
		return e, fault.New(fault.PeerDied, "wait", "", fmt.Errorf("the peer ended before it was %s", want))
	case <-ctx.Done():
		return Event{}, fault.Wrap("wait for a peer to be "+string(want), "", context.Cause(ctx))
	}
}

// kill is SIGKILL, where there is one. close reaps.
func (p *process) kill() error { return p.cmd.Process.Kill() }

// close ends the child by its stdin and waits for it, not for long.
func (p *process) close() error { return p.end(endTime) }

// end is close with a limit, after which the child is killed: one that ends by
// itself leaves nothing behind.
func (p *process) end(limit time.Duration) error {
	p.once.Do(func() {
		_ = p.stdin.Close()
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		stop := context.AfterFunc(ctx, func() { _ = p.kill() })
		defer stop()
		for range p.events { // so that the child is not stuck in telling
		}
		<-p.done
	})
	if p.err == nil || errors.Is(p.err, os.ErrProcessDone) {
		return nil
	}
	return fault.New(fault.PeerDied, "end a peer", "", p.err)
}
