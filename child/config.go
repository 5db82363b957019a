// SPDX-License-Identifier: Apache-2.0

package child

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport/shm"
)

// Restart says which ends of a child bring a new one.
type Restart uint8

// The values of Restart.
const (
	Never     Restart = iota // one life
	OnFailure                // unless it ended with exit status 0
	Always                   // however it ended
)

// Orphan says what becomes of the child when its parent dies.
type Orphan uint8

// The values of Orphan.
const (
	// Die: the kernel kills the child as soon as its parent has gone. Not one
	// that gains privileges when it is started, by a set-uid bit or file
	// capabilities, which NoNewPrivileges prevents: such a child learns it from
	// the end of its connection. What the child has started is its own to end.
	Die Orphan = iota
	// Survive: the child goes on and listens by its Name in the runtime
	// directory, where Start in the parent's next life finds it again. What it
	// writes on stdout and stderr is not logged: a pipe would break with the
	// parent, and the child with the pipe.
	Survive
)

// Defaults of Config.
const (
	DefaultHandshakeTimeout = 10 * time.Second
	DefaultReadyTimeout     = 30 * time.Second
	DefaultLiveEvery        = 10 * time.Second
	DefaultLiveFailures     = 3
	DefaultGrace            = 3 * time.Second
	DefaultFirstPause       = 100 * time.Millisecond
	DefaultMaxPause         = 10 * time.Second
	DefaultMaxPerMinute     = 10
)

// Limit is one resource limit of the child, in setrlimit's units.
type Limit struct {
	Resource   int // unix.RLIMIT_NOFILE and its like
	Soft, Hard uint64
}

// Config says what to start and how to keep it. Path is required; all other
// zero values work.
type Config struct {
	// Path is the program: looked up in PATH unless it has a slash.
	Path string
	// Args follow the program's own name.
	Args []string
	// Name is the child's in logs and, with Survive, in the runtime directory.
	// Default: the last element of Path.
	Name string

	// Env is added to a minimal environment: PATH, HOME, USER, LOGNAME, LANG,
	// LC_ALL, TZ, TMPDIR, XDG_RUNTIME_DIR and PARLEY_RUNTIME_DIR, as we have
	// them; a child of another UID has HOME, USER and LOGNAME of its own and no
	// runtime directory of ours. With InheritEnv it is added to all that we have.
	Env        []string
	InheritEnv bool
	// Dir is the working directory. Default: ours.
	Dir string
	// UID and GID are whose process the child becomes, without supplementary
	// groups; it needs root. Default: ours. GID defaults to UID where UID is set.
	UID, GID *uint32
	// NoNewPrivileges: no program that the child executes gains any by a
	// set-uid bit or file capabilities.
	NoNewPrivileges bool
	// Limits are in force before the child's first instruction. For them, and
	// for Cgroup, it is held as process.Start has it.
	Limits []Limit
	// Cgroup is the directory of a control group, of either version, that the
	// child is in before its first instruction.
	Cgroup string
	// SHA256 is what the program's file must hash to, else it is not started.
	// It must then be a binary, not a script. The file that was read is the one
	// that runs, whatever its path names by then; who may write into the file
	// itself could still change it in between.
	SHA256 []byte

	// Plain: no socket and no handshake, for programs that know nothing of
	// Parley. Their Process has no Conn.
	Plain bool
	// Protocols are the versions of the application's own protocol that we
	// speak, best first. Default: 1.
	Protocols []uint32
	// HandshakeTimeout bounds the time from start to the end of the handshake.
	// Default 10 s.
	HandshakeTimeout time.Duration
	// Socket: talk over the socket, not through shared memory.
	Socket bool
	// Memory tunes the shared memory.
	Memory shm.Options

	// Stdin is the child's. Default: none.
	Stdin *os.File
	// Stdout and Stderr get what the child writes; an *os.File is given to the
	// child itself. Default: the Logger, line by line.
	Stdout, Stderr io.Writer
	// Logger gets the child's output, and each start, end and failed check.
	// Default: discarded.
	Logger *slog.Logger

	// Restart says which ends bring a new child. Default Never.
	Restart Restart
	// FirstPause and MaxPause bound the pause before a restart, which doubles
	// with each, less up to a half at random; a child that lived longer than
	// MaxPause starts anew with FirstPause. Default 100 ms and 10 s.
	FirstPause, MaxPause time.Duration
	// MaxPerMinute is how many restarts there may be in a minute; one more and
	// the child is given up. Default 10; less than 0: no limit.
	MaxPerMinute int

	// Ready, Live and Drain get a context. One that does not end when that does
	// has failed and is left behind.

	// Ready, if set, says when a new child can be used: it is called once the
	// handshake is over, and its error fails the start. ReadyTimeout bounds
	// it. Default 30 s.
	Ready        func(context.Context, *Process) error
	ReadyTimeout time.Duration
	// Live, if set, is called every LiveEvery with as much time; after
	// LiveFailures errors in a row the child is killed and counts as failed.
	// Default 10 s and 3.
	Live         func(context.Context, *Process) error
	LiveEvery    time.Duration
	LiveFailures int
	// Drain, if set, is called before a child is told to end, by Stop or
	// Replace: work under way may be finished. Grace bounds it.
	Drain func(context.Context, *Process) error
	// StopSignal tells the child to end, after its connection was closed.
	// Default SIGTERM.
	StopSignal syscall.Signal
	// Grace is how long it may take to drain, and then to end, before its
	// process group is killed. Default 3 s.
	Grace time.Duration
	// Orphan says what becomes of the child when we die. Default Die.
	Orphan Orphan
}

func (c Config) withDefaults() (Config, error) {
	if c.Path == "" {
		return c, fault.New(fault.Invalid, "start child", c.Name, errors.New("no Path is given"))
	}
	if c.Name == "" {
		c.Name = filepath.Base(c.Path)
	}
	if c.Orphan == Survive && c.Plain {
		return c, fault.New(fault.Invalid, "start child", c.Name, errors.New("a Plain child cannot be found again, so it cannot Survive"))
	}
	if n := len(c.SHA256); n != 0 && n != 32 {
		return c, fault.New(fault.Invalid, "start child", c.Name, fmt.Errorf("a SHA-256 sum has 32 bytes, not %d", n))
	}
	if len(c.Protocols) == 0 {
		c.Protocols = []uint32{1}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.StopSignal == 0 {
		c.StopSignal = syscall.SIGTERM
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.HandshakeTimeout, DefaultHandshakeTimeout}, {&c.ReadyTimeout, DefaultReadyTimeout},
		{&c.LiveEvery, DefaultLiveEvery}, {&c.Grace, DefaultGrace},
		{&c.FirstPause, DefaultFirstPause}, {&c.MaxPause, DefaultMaxPause},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if c.LiveFailures <= 0 {
		c.LiveFailures = DefaultLiveFailures
	}
	if c.MaxPerMinute == 0 {
		c.MaxPerMinute = DefaultMaxPerMinute
	}
	return c, nil
}
