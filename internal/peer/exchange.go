// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
)

// The last byte of an answer: whether what had come was whole.
const (
	whole  = 'k'
	broken = 'x'
)

// MaxExchange is the most that one Exchange carries each way, in bytes.
const MaxExchange = 1 << 30

// Exchange sends n random bytes each way at once, each with its SHA-256, and
// half-closes: it returns nil if both sides got what the other one sent, and
// the end after it.
func Exchange(conn transport.Conn, n int) error {
	head := binary.BigEndian.AppendUint64([]byte{byte(exchange)}, uint64(n))
	if _, err := conn.Write(head); err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() { sent <- errors.Join(pour(conn, n), conn.CloseWrite()) }()
	got := take(conn, n)
	if got != nil { // the writer may wait for somebody who no longer reads
		_ = conn.Close()
	}
	if err := errors.Join(got, <-sent); err != nil {
		return err
	}
	rest, err := io.ReadAll(io.LimitReader(conn, 16))
	switch {
	case err != nil:
		return fmt.Errorf("instead of the end: %w", err)
	case !bytes.Equal(rest, []byte{whole}):
		return fault.New(fault.Protocol, "exchange", "", fmt.Errorf("the peer's verdict is %q", rest))
	}
	return nil
}

func answerExchange(conn transport.Conn) error {
	var head [8]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint64(head[:])
	if n > MaxExchange {
		return fault.New(fault.TooLarge, "exchange", "", fmt.Errorf("%d bytes", n))
	}
	sent := make(chan error, 1)
	go func() { sent <- pour(conn, int(n)) }()
	got := takeAll(conn, int(n))
	if got != nil && fault.KindOf(got) != fault.Protocol {
		_ = conn.Close()
	}
	if err := <-sent; err != nil {
		return errors.Join(got, err)
	}
	verdict := []byte{whole}
	if got != nil {
		verdict[0] = broken
	}
	_, err := conn.Write(verdict)
	return errors.Join(got, err, conn.CloseWrite())
}

// pour writes n random bytes in pieces of random sizes, and their checksum.
func pour(w io.Writer, n int) error {
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(rand.Uint32())
	}
	source, sum := rand.NewChaCha8(seed), sha256.New()
	buf := make([]byte, 128<<10)
	for n > 0 {
		p := buf[:min(n, 1+rand.IntN(len(buf)))]
		_, _ = source.Read(p) // never fails
		_, _ = sum.Write(p)   // nor does this
		if _, err := w.Write(p); err != nil {
			return err
		}
		n -= len(p)
	}
	_, err := w.Write(sum.Sum(nil))
	return err
}

// take reads what pour writes.
func take(r io.Reader, n int) error {
	sum := sha256.New()
	if _, err := io.CopyN(sum, r, int64(n)); err != nil {
		return fmt.Errorf("reading %d bytes: %w", n, err)
	}
	var theirs [sha256.Size]byte
	if _, err := io.ReadFull(r, theirs[:]); err != nil {
		return fmt.Errorf("reading the checksum: %w", err)
	}
	if !bytes.Equal(theirs[:], sum.Sum(nil)) {
		return fault.New(fault.Protocol, "exchange", "", errors.New("the SHA-256 differs"))
	}
	return nil
}

// takeAll is take, and wants the end after it.
func takeAll(r io.Reader, n int) error {
	if err := take(r, n); err != nil {
		return err
	}
	var more [1]byte
	if k, err := r.Read(more[:]); k != 0 || !errors.Is(err, io.EOF) {
		return fault.New(fault.Protocol, "exchange", "", fmt.Errorf("%d bytes and %w instead of the end", k, err))
	}
	return nil
}
