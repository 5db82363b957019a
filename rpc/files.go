// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
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
	s.cmu.Lock()
	defer s.cmu.Unlock()
	files := s.files
	s.files = nil
	return files
}
