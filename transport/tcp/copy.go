// SPDX-License-Identifier: Apache-2.0

package tcp

import (
	"io"
	"net"
	"os"
)

// piece is how much splice and sendfile move before the counters learn of it.
const piece = 512 << 10

var (
	_ io.ReaderFrom = (*Conn)(nil)
	_ io.WriterTo   = (*Conn)(nil)
)

// ReadFrom implements io.ReaderFrom: a file or another socket's bytes stay in
// the kernel (sendfile, splice).
func (c *Conn) ReadFrom(r io.Reader) (int64, error) {
	if lr, ok := r.(*io.LimitedReader); ok { // what io.CopyN and net/http pass
		if src, in := kernelSource(lr.R); src != nil {
			n, err := c.pull(src, max(lr.N, 0), in)
			lr.N -= n
			return n, err
		}
	} else if src, in := kernelSource(r); src != nil {
		return c.pull(src, -1, in)
	}
	return io.Copy(writerOnly{c}, r)
}

// WriteTo implements io.WriterTo: bytes for another TCP socket stay in the
// kernel.
func (c *Conn) WriteTo(w io.Writer) (int64, error) {
	switch w := w.(type) {
	case *Conn:
		return w.pull(c.sock, -1, c)
	case *net.TCPConn:
		return (&Conn{sock: w}).pull(c.sock, -1, c)
	}
	return io.Copy(w, readerOnly{c})
}

// kernelSource returns what net can splice or send from, or nil, and the Conn
// behind it if there is one, whose counters want to know. A file that is not
// regular, such as a terminal, is better copied and counted as it comes.
func kernelSource(r io.Reader) (io.Reader, *Conn) {
	switch r := r.(type) {
	case *Conn:
		return r.sock, r
	case *net.TCPConn, *net.UnixConn:
		return r, nil
	case *os.File:
		if info, err := r.Stat(); err == nil && info.Mode().IsRegular() {
			return r, nil
		}
	}
	return nil, nil
}

// pull moves up to limit bytes from src to c, all if limit is negative, piece
// by piece.
func (c *Conn) pull(src io.Reader, limit int64, in *Conn) (total int64, err error) {
	for limit < 0 || total < limit {
		want := int64(piece)
		if limit >= 0 {
			want = min(want, limit-total)
		}
		n, err := c.sock.ReadFrom(&io.LimitedReader{R: src, N: want})
		total += n
		if c.counters != nil {
			c.counters.BytesOut.Add(uint64(n))
		}
		if in != nil && in.counters != nil {
			in.counters.BytesIn.Add(uint64(n))
		}
		if err != nil || n < want {
			return total, err
		}
	}
	return total, nil
}

// writerOnly and readerOnly hide ReadFrom and WriteTo from io.Copy.
type (
	writerOnly struct{ io.Writer }
	readerOnly struct{ io.Reader }
)
