// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/message"
)

// ReceiveOptions is for Receive. Its zero value works.
type ReceiveOptions struct {
	Force    bool           // replace files that exist
	Sync     bool           // acknowledge a file only when it is on the disk
	Progress func(Progress) // called from Receive's goroutine, at most once a chunk; may be nil
	Received func(Received) // called for each file that took its final name; may be nil
}

// Received is a file that has arrived whole.
type Received struct {
	Name   string
	Size   int64
	SHA256 [sha256.Size]byte
}

// Receive receives files into dir until the peer says goodbye. A file takes
// its name when it is whole and its checksum right, and is acknowledged then;
// before that it is ".NAME.parley-part-…" in dir, which is removed if anything
// fails. What receivers that died have left there is removed first. What could
// not be received is told to the sender, and returned, joined, at the end.
func Receive(ctx context.Context, mc *message.Conn, dir string, opts ReceiveOptions) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		err = fault.Wrap("receive", dir, err)
		_ = mc.CloseWith(fault.KindOf(err), "the receiver cannot open its directory")
		return err
	}
	defer func() { _ = root.Close() }()
	sweep(root)
	r := receiver{mc: mc, root: root, opts: opts}
	if err := r.hello(ctx); err != nil {
		return err
	}
	var failures []error
	for {
		failure, err := r.file(ctx)
		if errors.Is(err, io.EOF) {
			return errors.Join(failures...)
		}
		if err != nil {
			return errors.Join(append(failures, err)...)
		}
		if failure != nil {
			failures = append(failures, failure)
		}
	}
}

type receiver struct {
	mc   *message.Conn
	root *os.Root
	opts ReceiveOptions
}

func (r *receiver) hello(ctx context.Context) error {
	m, err := r.mc.Receive(ctx)
	if err != nil {
		return err
	}
	defer m.Release()
	if err := parseHello(m.Bytes()); err != nil {
		return r.broken(err)
	}
	return nil
}

// broken ends a connection whose peer does not keep to the protocol.
func (r *receiver) broken(why error) error {
	_ = r.mc.CloseWith(fault.Protocol, why.Error())
	return fault.New(fault.Protocol, "receive", r.mc.Peer().String(), why)
}

// say tells the sender something. To whoever reads our errors it is a part of
// receiving.
func (r *receiver) say(ctx context.Context, p []byte) error {
	err := r.mc.Send(ctx, p)
	var f *fault.Error
	if errors.As(err, &f) {
		received := *f
		received.Op = "receive"
		return &received
	}
	return err
}

// file receives one file. failure concerns the file alone and has been told
// to the sender; err ends the connection and is io.EOF at its orderly end.
func (r *receiver) file(ctx context.Context) (failure, err error) {
	m, err := r.mc.Receive(ctx)
	if err != nil {
		return nil, err
	}
	o, err := parseOffer(m.Bytes())
	m.Release()
	if err != nil {
		return nil, r.broken(err)
	}
	p, failure := r.begin(o)
	if failure != nil {
		return failure, r.say(ctx, appendFailed(nil, failure))
	}
	defer p.discard()
	if err := r.say(ctx, []byte{tagReady}); err != nil {
		return nil, err
	}
	got, failure, err := r.content(ctx, o, p)
	if err != nil || failure != nil {
		return failure, err
	}
	if failure = p.finish(o, r.opts); failure != nil {
		return failure, r.say(ctx, appendFailed(nil, failure))
	}
	if r.opts.Received != nil {
		r.opts.Received(Received{o.name, got.size, got.sum})
	}
	return nil, r.say(ctx, []byte{tagDone})
}

func (r *receiver) begin(o offer) (*part, error) {
	if err := CheckName(o.name); err != nil {
		return nil, err
	}
	if _, err := r.root.Lstat(o.name); err == nil && !r.opts.Force {
		return nil, errExists(o.name)
	}
	p, err := newPart(r.root, o.name)
	return p, fault.Wrap("receive", o.name, err)
}

func errExists(name string) error {
	return fault.New(fault.InUse, "receive", name, errors.New("there is a file of this name")).WithHint("the receiver's --force replaces it")
}

// content takes data until its end. A failure is told at once, and the rest
// of the file is received and forgotten.
func (r *receiver) content(ctx context.Context, o offer, p *part) (got digest, failure, err error) {
	sum := newSummer()
	defer sum.close()
	for {
		m, err := r.mc.Receive(ctx)
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = fault.New(fault.PeerDied, "receive", o.name, errors.New("the sender ended in the middle of the file"))
			}
			return digest{}, nil, err
		}
		done, failure, err := r.take(o, p, sum, m.Bytes())
		m.Release()
		if err == nil && failure != nil {
			err = r.say(ctx, appendFailed(nil, failure))
			if err == nil && !done {
				err = r.skip(ctx)
			}
			return digest{}, failure, err
		}
		if err != nil || done {
			return sum.digest(), nil, err
		}
		if r.opts.Progress != nil {
			r.opts.Progress(Progress{o.name, sum.size, o.size})
		}
	}
}

// take handles one message of a file's content.
func (r *receiver) take(o offer, p *part, sum *summer, b []byte) (done bool, failure, err error) {
	switch {
	case len(b) > 1 && len(b) <= 1+chunkSize && b[0] == tagData:
		if o.size != unknownSize && sum.size+int64(len(b)-1) > o.size {
			return false, fault.New(fault.Protocol, "receive", o.name, fmt.Errorf("more than the %d bytes that were announced: it grew while it was sent", o.size)), nil
		}
		sum.begin(b[1:])
		_, werr := p.f.Write(b[1:])
		sum.end()
		return false, fault.Wrap("receive", o.name, werr), nil
	case len(b) > 0 && b[0] == tagAbandon:
		return true, fault.New(fault.Canceled, "receive", o.name, fmt.Errorf("the sender abandoned the file: %q", b[1:])), nil
	}
	want, err := parseEnd(b)
	if err != nil {
		return false, nil, r.broken(err)
	}
	switch got := sum.digest(); {
	case got != want:
		failure = fault.New(fault.Protocol, "receive", o.name, fmt.Errorf("the checksum of %d bytes is wrong", got.size))
	case o.size != unknownSize && o.size != got.size:
		failure = fault.New(fault.Protocol, "receive", o.name, fmt.Errorf("%d bytes came, %d were announced: it changed while it was sent", got.size, o.size))
	}
	return true, failure, nil
}

// skip receives what is left of a file that has failed.
func (r *receiver) skip(ctx context.Context) error {
	for {
		m, err := r.mc.Receive(ctx)
		if err != nil {
			return err
		}
		b := m.Bytes()
		more := len(b) > 0 && b[0] == tagData
		ended := len(b) > 0 && (b[0] == tagEnd || b[0] == tagAbandon)
		m.Release()
		if ended {
			return nil
		}
		if !more {
			return r.broken(errors.New("a message that is no part of a file"))
		}
	}
}
