// SPDX-License-Identifier: Apache-2.0

// Frames moves 1080p pictures at 60 Hz from a camera to four other processes,
// each by its own policy and without a copy; one of them stalls for half of
// the time. Ages are from the publication of a frame until its reader has it.
//
// It prints:
//
//	camera: 120 frames of 1920×1080, written where they are read, … a second; nobody was dropped
//	recorder (reliable): 120 whole frames, 0 lost; … a second, age … in the middle, … for 99 of 100
//	screen (latest): each frame shown was whole, the last was number 119; … a second, age … in the middle, … for 99 of 100
//	analysis (lossy): received and lost make 120; … a second, age … in the middle, … for 99 of 100
//	stalled (lossy): sat on frame … for …, found it overwritten, lost … by that, read on to the last; together 120
package main

import (
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
	ring    = 128 << 20 // fifteen frames, a quarter of a second: four would do, the rest lets a recorder be late
	frames  = 120
	rate    = 60

	stallFrom = 20 // one reader sits on this frame, or the next that it gets,
	stallTo   = 90 // until that one has been published
)

// camera publishes once all readers are there. It tells of the frame that is
// enough of a stall.
func camera(ctx context.Context, enough func()) (string, error) {
	e, err := engine.Open(ctx, address)
	if err != nil {
		return "", err
	}
	defer e.Close()
	p, err := e.Topic("camera").Publisher(ctx, topic.PublisherConfig{MaxData: size, Ring: ring, MaxPatience: time.Minute})
	if err != nil {
		return "", err
	}
	defer p.Close()
	if err := p.(topic.Admin).AwaitSubscribers(ctx, len(readers)); err != nil {
		return "", err
	}
	tick := time.NewTicker(time.Second / rate)
	defer tick.Stop()
	start := time.Now()
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
		if n == stallTo {
			enough()
		}
	}
	took := time.Since(start)
	if st := p.Stats(); st.Dropped > 0 {
		return "", fmt.Errorf("%d were dropped", st.Dropped)
	}
	return fmt.Sprintf("%d frames of 1920×1080, written where they are read, %.1f a second; nobody was dropped", frames, frames/took.Seconds()), nil
}

// draw fills the picture with one colour, the frame's number.
func draw(b []byte, n int) {
	b[0] = byte(n)
	for done := 1; done < len(b); done *= 2 {
		copy(b[done:], b[:done])
	}
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
	text, err := camera(ctx, func() { _ = stop[len(stop)-1].Close() })
	for _, c := range children {
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
