// SPDX-License-Identifier: Apache-2.0

// Frames moves 1080p pictures at 60 Hz from a camera to four other processes,
// each by its own policy and without a copy; one of them stalls.
//
// It prints:
//
//	camera: 60 frames of 1920×1080, written where they are read; nobody was dropped
//	recorder (reliable): 60 whole frames, 0 lost
//	screen (latest): each frame shown was whole, the last was number 59
//	analysis (lossy): received and lost make 60
//	stalled (lossy): held up nobody, and learns that its frame was overwritten
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/parley-ipc/parley/engine"
	"github.com/parley-ipc/parley/topic"
)

const (
	address = "mem://example-frames"
	size    = 1920 * 1080 * 4
	frames  = 60
)

// readers are the other processes, in the order in which they are told of.
var readers = []struct {
	name   string
	policy topic.Policy
	read   func(context.Context, topic.Subscription) (string, error)
}{
	{"recorder", topic.Reliable, record},
	{"screen", topic.Latest, show},
	{"analysis", topic.Lossy, analyse},
	{"stalled", topic.Lossy, stall},
}

// camera publishes once all readers are there.
func camera(ctx context.Context) (string, error) {
	e, err := engine.Open(ctx, address)
	if err != nil {
		return "", err
	}
	defer e.Close()
	// Four frames would do for the ring; sixteen let a recorder be late.
	p, err := e.Topic("camera").Publisher(ctx, topic.PublisherConfig{MaxData: size, Ring: 128 << 20, MaxPatience: time.Minute})
	if err != nil {
		return "", err
	}
	defer p.Close()
	if err := p.(topic.Admin).AwaitSubscribers(ctx, len(readers)); err != nil {
		return "", err
	}
	tick := time.NewTicker(time.Second / 60)
	defer tick.Stop()
	for n := range frames {
		<-tick.C
		l, err := p.Loan(ctx, topic.Message{Subject: "front"}, size)
		if err != nil {
			return "", err
		}
		draw(l.Bytes(), n) // into the memory that the readers have mapped
		if err := l.Publish(size); err != nil {
			return "", err
		}
	}
	if st := p.Stats(); st.Dropped > 0 {
		return "", fmt.Errorf("%d were dropped", st.Dropped)
	}
	return fmt.Sprintf("%d frames of 1920×1080, written where they are read; nobody was dropped", frames), nil
}

// draw fills the picture with one colour, the frame's number.
func draw(b []byte, n int) {
	b[0] = byte(n)
	for done := 1; done < len(b); done *= 2 {
		copy(b[done:], b[:done])
	}
}

func whole(b []byte, n uint64) bool {
	return len(b) == size && bytes.Count(b, []byte{byte(n)}) == size
}

// record needs every frame, and the camera waits for it.
func record(ctx context.Context, s topic.Subscription) (string, error) {
	n := uint64(0)
	for ; ; n++ {
		it, err := s.Borrow(ctx)
		if errors.Is(err, io.EOF) {
			return fmt.Sprintf("%d whole frames, %d lost", n, s.Stats().Lost), nil
		}
		if err != nil {
			return "", err
		}
		good := it.Seq == n && whole(it.Data, n)
		if !s.Release() || !good {
			return "", fmt.Errorf("frame %d is torn or out of order", it.Seq)
		}
	}
}

// show wants the newest. A frame may be overwritten while it is being shown:
// Release says so, and the next one is better anyway.
func show(ctx context.Context, s topic.Subscription) (string, error) {
	last := uint64(0)
	for {
		it, err := s.Borrow(ctx)
		if errors.Is(err, io.EOF) {
			return fmt.Sprintf("each frame shown was whole, the last was number %d", last), nil
		}
		if err != nil {
			return "", err
		}
		good := whole(it.Data, it.Seq)
		if s.Release() && !good {
			return "", fmt.Errorf("frame %d is torn", it.Seq)
		}
		last = it.Seq
	}
}

// analyse takes copies, for it keeps them long.
func analyse(ctx context.Context, s topic.Subscription) (string, error) {
	for {
		it, err := s.Next(ctx)
		if errors.Is(err, io.EOF) {
			st := s.Stats()
			return fmt.Sprintf("received and lost make %d", st.Received+st.Lost), nil
		}
		if err != nil {
			return "", err
		}
		if !whole(it.Data, it.Seq) {
			return "", fmt.Errorf("frame %d is torn", it.Seq)
		}
	}
}

// stall borrows the first frame and sits on it until the camera is done.
func stall(ctx context.Context, s topic.Subscription) (string, error) {
	if _, err := s.Borrow(ctx); err != nil {
		return "", err
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	if s.Release() {
		return "", errors.New("its frame is still there")
	}
	return "held up nobody, and learns that its frame was overwritten", nil
}

// reader is one of the other processes.
func reader(ctx context.Context, name string) error {
	e, err := engine.Open(ctx, address)
	if err != nil {
		return err
	}
	defer e.Close()
	for _, r := range readers {
		if r.name != name {
			continue
		}
		s, err := e.Topic("camera").Subscribe(ctx, topic.SubscribeConfig{Name: name, Policy: r.policy, Patience: 30 * time.Second, EndOnClose: true})
		if err != nil {
			return err
		}
		defer s.Close()
		text, err := r.read(ctx, s)
		if err != nil {
			return err
		}
		fmt.Printf("%s (%v): %s\n", name, r.policy, text)
	}
	return nil
}

func run(ctx context.Context) error {
	if len(os.Args) > 1 {
		return reader(ctx, os.Args[1])
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	told := make([]strings.Builder, len(readers))
	var stop []io.Closer
	var children []*exec.Cmd
	for i, r := range readers {
		c := exec.CommandContext(ctx, self, r.name)
		c.Stdout, c.Stderr = &told[i], os.Stderr
		in, err := c.StdinPipe()
		if err != nil {
			return err
		}
		if err := c.Start(); err != nil {
			return err
		}
		stop, children = append(stop, in), append(children, c)
	}
	text, err := camera(ctx)
	for i, c := range children {
		_ = stop[i].Close()
		err = errors.Join(err, c.Wait())
	}
	if err != nil {
		return err
	}
	fmt.Println("camera:", text)
	for i := range told {
		fmt.Print(told[i].String())
	}
	return nil
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}
