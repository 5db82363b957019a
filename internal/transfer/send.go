// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/message"
)

// Progress tells how far a file has got. Total is -1 where it is not known.
type Progress struct {
	Name        string
	Done, Total int64
}

// SendOptions is for Send. Its zero value works.
type SendOptions struct {
	Stdin    io.Reader      // what "-" reads; default os.Stdin
	Name     string         // what "-" is called over there; default "stdin"
	Progress func(Progress) // called from Send's goroutine, at most once a chunk; may be nil
	Sent     func(Sent)     // called for each file that was acknowledged, or failed by itself; may be nil
}

// Sent is what became of a file. Size and SHA256 are set only where Err is nil.
type Sent struct {
	Name   string
	Size   int64
	SHA256 [sha256.Size]byte
	Err    error
}

// Send sends files, each a path or "-" for opts.Stdin, and says goodbye. It
// returns nil only if the peer has acknowledged every one: whole, checked and
// under its final name. What the receiver refuses, or we cannot read, does not
// keep the others from being sent; the errors are joined.
//
// The goroutine that reads "-" cannot be interrupted where the reader cannot:
// it may outlive a Send that fails until its read returns.
func Send(ctx context.Context, mc *message.Conn, files []string, opts SendOptions) error {
	s := sender{mc: mc, opts: opts}
	if s.opts.Stdin == nil {
		s.opts.Stdin = os.Stdin
	}
	if s.opts.Name == "" {
		s.opts.Name = "stdin"
	}
	if err := mc.Send(ctx, appendHello(nil)); err != nil {
		return err
	}
	var refused []error
	for _, path := range files {
		failure, err := s.file(ctx, path)
		if err != nil {
			return errors.Join(append(refused, err)...)
		}
		if failure != nil {
			refused = append(refused, failure)
			s.sum = digest{}
		}
		if s.opts.Sent != nil {
			s.opts.Sent(Sent{s.nameOf(path), s.sum.size, s.sum.sum, failure})
		}
	}
	return errors.Join(append(refused, mc.CloseWrite(ctx))...)
}

type sender struct {
	mc   *message.Conn
	opts SendOptions
	sum  digest // of the last file that was sent to its end
}

// nameOf is what a file is called over there.
func (s *sender) nameOf(path string) string {
	if path == "-" {
		return s.opts.Name
	}
	return filepath.Base(path)
}

// file sends one file. failure concerns the file alone, err the connection.
func (s *sender) file(ctx context.Context, path string) (failure, err error) {
	in, o, err := s.open(path)
	if err != nil {
		return fault.Wrap("send", path, err), nil
	}
	defer func() { _ = in.Close() }()
	if err := s.mc.Send(ctx, appendOffer(nil, o)); err != nil {
		return nil, err
	}
	tag, failure, err := s.reply(ctx, o.name)
	if err != nil || failure != nil {
		return failure, err
	}
	if tag != tagReady {
		return nil, fault.New(fault.Protocol, "send", o.name, errors.New("the receiver acknowledged a file before it was sent"))
	}
	return s.stream(ctx, in, o)
}

func (s *sender) open(path string) (io.ReadCloser, offer, error) {
	if path == "-" {
		return io.NopCloser(s.opts.Stdin), offer{mode: 0o600, size: unknownSize, name: s.nameOf(path)}, nil
	}
	f, err := os.Open(path) // a FIFO is opened and read like any stream
	if err != nil {
		return nil, offer{}, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fault.New(fault.Invalid, "send", path, errors.New("it is a directory")).WithHint("pack it: tar c DIR | parley send ADDR -")
	}
	if err != nil {
		_ = f.Close()
		return nil, offer{}, err
	}
	o := offer{mode: info.Mode().Perm(), size: info.Size(), name: s.nameOf(path)}
	if !info.Mode().IsRegular() || info.Size() == 0 { // files of /proc say 0 and have content
		o.size = unknownSize
	}
	return f, o, nil
}

// reply waits for one answer of the receiver.
func (s *sender) reply(ctx context.Context, name string) (tag byte, failure, err error) {
	m, err := s.mc.Receive(ctx)
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = fault.New(fault.PeerDied, "send", name, errors.New("the receiver ended before it acknowledged the file"))
		}
		return 0, nil, err
	}
	defer m.Release()
	return parseReply(m.Bytes(), name)
}

type answer struct {
	tag          byte
	failure, err error
}

// stream sends the content beside a goroutine that waits for the receiver's
// verdict, which may come early.
func (s *sender) stream(ctx context.Context, in io.Reader, o offer) (failure, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	verdict := make(chan answer, 1)
	go func() {
		tag, failure, err := s.reply(ctx, o.name)
		verdict <- answer{tag, failure, err}
	}()
	src := newSource(ctx, in, o.regular())
	defer src.wait(cancel)
	var early *answer
	why, err := s.chunks(ctx, src, o, verdict, &early)
	if err != nil {
		cancel()
		if early == nil {
			<-verdict // the goroutine ends before we do
		}
		return nil, err
	}
	if early == nil {
		a := <-verdict
		early = &a
	}
	switch {
	case early.err != nil:
		return nil, early.err
	case why != nil:
		return why, nil
	case early.failure == nil && early.tag != tagDone:
		return nil, fault.New(fault.Protocol, "send", o.name, errors.New("an answer out of turn"))
	}
	return early.failure, nil
}

// chunks sends data and its end. It stops with abandon when the file cannot be
// read on (why) or the receiver has failed (early).
func (s *sender) chunks(ctx context.Context, src *source, o offer, verdict <-chan answer, early **answer) (why, err error) {
	var done int64
	for {
		select {
		case a := <-verdict:
			*early = &a
			if a.err != nil {
				return nil, a.err
			}
			return nil, s.mc.Send(ctx, append([]byte{tagAbandon}, "the receiver failed"...))
		case <-ctx.Done():
			return nil, fault.Wrap("send", o.name, context.Cause(ctx))
		case c := <-src.out:
			if err := s.mc.Send(ctx, c.p); err != nil {
				return nil, err
			}
			if c.why != nil {
				return fault.Wrap("send", o.name, c.why), nil
			}
			if c.last {
				s.sum = c.sum
				return nil, nil
			}
			done += int64(len(c.p) - 1)
			src.free <- c.p[:cap(c.p)]
			if s.opts.Progress != nil {
				s.opts.Progress(Progress{o.name, done, o.size})
			}
		}
	}
}

func (o offer) regular() bool { return o.size != unknownSize }
