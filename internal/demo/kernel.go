// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/parley-ipc/parley/internal/peer"
	"github.com/parley-ipc/parley/primitive/fifo"
	"github.com/parley-ipc/parley/primitive/mqueue"
)

// cReader is a C program that empties a queue, as librt sees it.
const cReader = `
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>

int main(int argc, char **argv) {
	char buf[64];
	unsigned priority;
	mqd_t q = mq_open(argv[1], O_RDONLY | O_NONBLOCK);
	for (ssize_t n; (n = mq_receive(q, buf, sizeof buf, &priority)) >= 0;)
		printf("%.*s@%u ", (int)n, buf, priority);
	return q == (mqd_t)-1;
}
`

// queued: messages come by priority, to a C program where one can be compiled.
func queued(ctx context.Context, _ *peer.Stage) (f finding, err error) {
	name := fmt.Sprintf("/parley-demo-%d", os.Getpid())
	q, err := mqueue.Open(name, mqueue.Config{Create: true, Exclusive: true, MaxMessages: 4, MessageSize: 64})
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, q.Close(), mqueue.Unlink(name)) }()
	for priority, text := range []string{"low", "middle", "high"} {
		if err := q.Send(ctx, []byte(text), uint32(priority)); err != nil {
			return f, err
		}
	}
	who, got, err := readBy(ctx, name)
	if err != nil {
		return f, err
	}
	const want = "high@2 middle@1 low@0"
	if got != want {
		return f, fmt.Errorf("%s read %q, not %q", who, got, want)
	}
	return finding{fmt.Sprintf("%s read %s", who, got), map[string]any{"reader": who, "read": got}}, nil
}

// readBy empties the queue, with gcc's help if it is there.
func readBy(ctx context.Context, name string) (who, got string, err error) {
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		got, err = readQueue(ctx, name)
		return "Go (no gcc for C's view)", got, err
	}
	dir, err := os.MkdirTemp("", "parley-demo-")
	if err != nil {
		return "", "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	program := filepath.Join(dir, "reader")
	build := exec.CommandContext(ctx, gcc, "-x", "c", "-o", program, "-", "-lrt")
	build.Stdin = strings.NewReader(cReader)
	if out, err := build.CombinedOutput(); err != nil {
		return "", "", fmt.Errorf("gcc: %w: %s", err, out)
	}
	out, err := exec.CommandContext(ctx, program, name).Output()
	return "a C program", strings.TrimSpace(string(out)), err
}

func readQueue(ctx context.Context, name string) (string, error) {
	q, err := mqueue.Open(name, mqueue.Config{Access: mqueue.ReceiveOnly})
	if err != nil {
		return "", err
	}
	defer func() { _ = q.Close() }()
	var words []string
	for {
		a, err := q.Attributes()
		if err != nil || a.Messages == 0 {
			return strings.Join(words, " "), err
		}
		m, err := q.Next(ctx)
		if err != nil {
			return "", err
		}
		words = append(words, fmt.Sprintf("%s@%d", m.Data, m.Priority))
	}
}

// spliced: the kernel moves bytes from pipe to pipe, and none comes through us.
func spliced(ctx context.Context, _ *peer.Stage) (finding, error) {
	sent := make([]byte, exchanged)
	_, _ = rand.Read(sent)
	src, feeder, err := fifo.Pipe(0)
	if err != nil {
		return finding{}, err
	}
	out, dst, err := fifo.Pipe(0)
	if err != nil {
		return finding{}, errors.Join(err, src.Close(), feeder.Close())
	}
	closeAll := func() { _, _, _, _ = src.Close(), feeder.Close(), out.Close(), dst.Close() }
	defer closeAll()
	fed, moved := make(chan error, 1), make(chan error, 1)
	started := time.Now()
	go func() {
		_, err := feeder.Write(ctx, sent)
		fed <- errors.Join(err, feeder.Close())
	}()
	go func() {
		for {
			if _, err := fifo.Splice(ctx, dst, src, exchanged); err != nil {
				_ = dst.Close()
				moved <- err
				return
			}
		}
	}()
	got, err := drain(ctx, out)
	took := time.Since(started)
	if err != nil {
		closeAll()
	}
	if merr := <-moved; merr != io.EOF { //nolint:errorlint // Splice's contract
		err = errors.Join(err, merr)
	}
	if err := errors.Join(err, <-fed); err != nil {
		return finding{}, err
	}
	if !bytes.Equal(got, sent) {
		return finding{}, fmt.Errorf("%d bytes came of %d, or others", len(got), len(sent))
	}
	return finding{
		fmt.Sprintf("%d MiB went from pipe to pipe in %s ms, identical", exchanged>>20, milliseconds(took)),
		map[string]any{"bytes": exchanged, "took_ns": took},
	}, nil
}

func drain(ctx context.Context, r *fifo.End) ([]byte, error) {
	var all []byte
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Read(ctx, buf)
		all = append(all, buf[:n]...)
		if err == io.EOF { //nolint:errorlint // Read's contract
			return all, nil
		}
		if err != nil {
			return all, err
		}
	}
}
