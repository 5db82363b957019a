// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/parley-ipc/parley/child"
	"github.com/parley-ipc/parley/internal/peer"
	"github.com/parley-ipc/parley/primitive/process"
)

// restart: a plugin fails in mid-conversation, and its host talks with the
// next one.
func restart(ctx context.Context, stage *peer.Stage) (f finding, err error) {
	cfg, err := stage.Plugin()
	if err != nil {
		return f, err
	}
	cfg.Restart, cfg.FirstPause = child.OnFailure, time.Millisecond
	c, err := child.Start(ctx, cfg)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, c.Stop(context.WithoutCancel(ctx))) }()
	first, err := greeted(ctx, c, nil)
	if err != nil {
		return f, err
	}
	failed := time.Now()
	if err := peer.TellDie(first.Conn()); err != nil {
		return f, err
	}
	second, err := greeted(ctx, c, first)
	if err != nil {
		return f, err
	}
	took := time.Since(failed)
	var exit *child.ExitError
	if !errors.As(first.Err(), &exit) {
		return f, fmt.Errorf("the plugin was told to fail, and ended with: %w", first.Err())
	}
	return finding{
		fmt.Sprintf("a plugin ended with %s, the next one answered after %s ms", exit, milliseconds(took)),
		map[string]any{"restart_ns": took, "exit": exit.ExitCode(), "pids": []int{first.PID(), second.PID()}},
	}, nil
}

// greeted waits for a life of the plugin after old and asks it who it is.
func greeted(ctx context.Context, c *child.Child, old *child.Process) (*child.Process, error) {
	if old != nil {
		select {
		case <-old.Done():
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	p, err := c.Await(ctx)
	if err != nil {
		return nil, err
	}
	pid, err := peer.AskPID(p.Conn())
	if err == nil && pid != p.PID() {
		err = fmt.Errorf("pid %d was started, and pid %d answers", p.PID(), pid)
	}
	return p, err
}

// signalled: a plugin receives a signal with a value, and knows from whom.
func signalled(ctx context.Context, stage *peer.Stage) (f finding, err error) {
	cfg, err := stage.Plugin()
	if err != nil {
		return f, err
	}
	c, err := child.Start(ctx, cfg)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, c.Stop(context.WithoutCancel(ctx))) }()
	const value = 42
	p, err := process.Open(c.Process().PID())
	if err != nil {
		return f, err
	}
	defer func() { _ = p.Close() }()
	got, err := peer.AskSignal(c.Process().Conn(), func() error { return p.SignalValue(peer.PluginSignal, value) })
	if err != nil {
		return f, err
	}
	if want := (process.Received{Signal: int(peer.PluginSignal), PID: os.Getpid(), UID: uint32(os.Getuid()), Value: value, Queued: true}); got != want {
		return f, fmt.Errorf("the plugin received %+v, not %+v", got, want)
	}
	return finding{fmt.Sprintf("signal %d came with value %d from pid %d, uid %d", got.Signal, got.Value, got.PID, got.UID), map[string]any{"received": got}}, nil
}
