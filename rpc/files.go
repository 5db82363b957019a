// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"errors"
	"os"
)

type filesKey struct{}

// AttachFiles returns a context whose calls carry open files as arguments,
// over local transports; elsewhere such a call is codes.Unimplemented. The
// caller keeps its own files and may close them when the call has begun.
func AttachFiles(ctx context.Context, files ...*os.File) context.Context {
	return context.WithValue(ctx, filesKey{}, append(attached(ctx), files...))
}

func attached(ctx context.Context) []*os.File {
	files, _ := ctx.Value(filesKey{}).([]*os.File)
	return files[:len(files):len(files)]
}

// Files returns the open files that came with the call whose handler has ctx.
// The handler owns them from then on; those of a call that never asks are
// closed when it returns.
func Files(ctx context.Context) []*os.File {
	s, ok := ctx.Value(servedKey{}).(*serverStream)
	if !ok {
		return nil
	}
	return s.takeFiles()
}

func (s *serverStream) takeFiles() []*os.File {
	s.cmu.Lock()
	defer s.cmu.Unlock()
	files := s.files
	s.files = nil
	s.c.held.Add(-int32(len(files)))
	return files
}

// dropFiles closes those that nobody has taken.
func (s *serverStream) dropFiles() {
	if !s.brought {
		return
	}
	for _, f := range s.takeFiles() {
		_ = f.Close()
	}
}

var errFiles = errors.New("the peer sends files that nobody takes")

// keepFiles keeps what came until an opening claims it. The caller holds the
// reader's role.
func (c *conn) keepFiles(files []*os.File) error {
	if len(files) == 0 {
		return nil
	}
	c.files = append(c.files, files...)
	switch {
	case c.serves == nil:
		c.held.Add(int32(len(files)))
		c.closeLoose()
		return errFiles
	case c.held.Add(int32(len(files))) > maxFiles:
		return errFiles
	}
	return nil
}

// closeLoose closes files that no call has claimed.
func (c *conn) closeLoose() {
	for _, f := range c.files {
		_ = f.Close()
	}
	c.held.Add(-int32(len(c.files)))
	c.files = nil
}

// closeFiles is called by the last holder of the role when the connection has
// ended: what no handler will ever see is closed.
func (c *conn) closeFiles() {
	c.closeLoose()
	c.mu.Lock()
	orphans := c.orphans
	c.orphans = nil
	c.mu.Unlock()
	for _, s := range orphans {
		if s != nil && !s.started {
			s.dropFiles()
		}
	}
}
