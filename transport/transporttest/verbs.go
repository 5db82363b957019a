// SPDX-License-Identifier: Apache-2.0

package transporttest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/transport"
)

// verb is what the far process does with one connection.
type verb func(c transport.Conn) error

var verbs = map[string]verb{
	"echo":     echoVerb,
	"identity": identityVerb,
	"half":     halfVerb,
	"churn":    churn,
	"hold":     hold,
	"files":    filesVerb,
	"pass":     pass,
}

// serve runs v on each connection that l accepts, until l is closed, and
// waits for them.
func serve(ctx context.Context, l transport.Listener, v verb) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		c, err := l.AcceptConn(ctx)
		if err != nil {
			return err
		}
		wg.Go(func() {
			_ = v(c) // the near side sees what broke
			_ = c.Close()
		})
	}
}

// echoVerb returns each frame until the peer ends.
func echoVerb(c transport.Conn) error {
	for {
		p, err := readFrame(c)
		if err == io.EOF { //nolint:errorlint // only a clean end is io.EOF itself
			return nil
		}
		if err != nil {
			return err
		}
		if err := writeFrame(c, p); err != nil {
			return err
		}
	}
}

// card is what a process says of itself and of its peer.
type card struct {
	Me   Party
	Peer auth.Identity
}

func identityVerb(c transport.Conn) error {
	p, err := json.Marshal(card{Me: self(), Peer: c.Peer()})
	if err != nil {
		return err
	}
	if err := writeFrame(c, p); err != nil {
		return err
	}
	return hold(c)
}

// halfVerb reads to the end, and only then answers with what it read.
func halfVerb(c transport.Conn) error {
	p, err := io.ReadAll(c)
	if err != nil {
		return err
	}
	if err := writeFrame(c, p); err != nil {
		return err
	}
	if err := c.CloseWrite(); err != nil {
		return err
	}
	return hold(c)
}

// hold does nothing until the peer ends.
func hold(c transport.Conn) error {
	_, err := io.Copy(io.Discard, c)
	return err
}

// churn writes and reads the pattern without end.
func churn(c transport.Conn) error {
	wrote := make(chan error, 1)
	go func() { wrote <- writePattern(c) }()
	_, err := readPattern(c, nil)
	_ = c.Close()
	return errors.Join(err, <-wrote)
}

const patternChunk = 96<<10 + 1 // odd, so that chunks fall on every offset of a ring

// pattern is the byte at an offset of the stream.
func pattern(i uint64) byte { return byte(i ^ i>>8 ^ i>>16 ^ i>>24) }

func writePattern(w io.Writer) error {
	p := make([]byte, patternChunk)
	for off := uint64(0); ; off += uint64(len(p)) {
		for i := range p {
			p[i] = pattern(off + uint64(i))
		}
		if _, err := w.Write(p); err != nil {
			return err
		}
	}
}

// readPattern reads until an error, which it returns with the number of
// bytes, having told progress of each step.
func readPattern(r io.Reader, progress func(total uint64)) (uint64, error) {
	p, off := make([]byte, patternChunk), uint64(0)
	for {
		n, err := r.Read(p)
		for i, got := range p[:n] {
			if want := pattern(off + uint64(i)); got != want {
				return off, fmt.Errorf("corrupt: byte %d is %#x, want %#x", off+uint64(i), got, want)
			}
		}
		off += uint64(n)
		if progress != nil {
			progress(off)
		}
		if err != nil {
			return off, err
		}
	}
}
