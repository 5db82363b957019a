// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/parley-ipc/parley/child"
	"github.com/parley-ipc/parley/internal/peer"
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
