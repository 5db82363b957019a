// SPDX-License-Identifier: Apache-2.0

package broadcast

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/primitive/shm"
)

func TestMain(m *testing.M) {
	proctest.RunRole(map[string]proctest.Role{"subscriber": subscriberRole, "publisher": publisherRole, "bench": benchRole})
	goleak.VerifyTestMain(m)
}

// tb is what testing.TB and rapid.T have in common.
type tb interface {
	rapid.TB
	Cleanup(func())
}

func dup(t tb, s *shm.Segment) int {
	t.Helper()
	fd, err := unix.FcntlInt(uintptr(s.FD()), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func publisher(t tb, cfg Config) *Publisher {
	t.Helper()
	if cfg.Ring == 0 {
		cfg.Ring = MinRing
	}
	p, err := NewPublisher(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func subscribe(t tb, p *Publisher, cfg SubscribeConfig) *Subscriber {
	t.Helper()
	s, err := Subscribe(dup(t, p.Segment()), p.Ring(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func attach(t tb, p *Publisher, s *Subscriber, terms Terms) *Handle {
	t.Helper()
	terms.Policy = s.cfg.Policy
	h, err := p.Attach(dup(t, s.Control()), terms)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// now is a context for what must not wait.
func now() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// limited is a context for what must end by itself.
func limited(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// content is what the record with that number holds: its length and its bytes
// follow from the number.
func content(b []byte, seq uint64, most int) []byte {
	n := int(seq * 2654435761 % uint64(most+1))
	b = b[:0]
	for i := range n {
		b = append(b, byte(seq)+byte(i)*31)
	}
	return b
}

func checkContent(rec Record, most int) error {
	if want := int(rec.Seq * 2654435761 % uint64(most+1)); len(rec.Bytes) != want {
		return fmt.Errorf("record %d has %d bytes, want %d", rec.Seq, len(rec.Bytes), want)
	}
	for i, c := range rec.Bytes {
		if c != byte(rec.Seq)+byte(i)*31 {
			return fmt.Errorf("record %d is torn at byte %d of %d", rec.Seq, i, len(rec.Bytes))
		}
	}
	return nil
}

func nothingNow(err error) bool { return errors.Is(err, fault.Canceled) }

func mustPublish(t tb, p *Publisher, b []byte) {
	t.Helper()
	if err := p.Publish(context.Background(), b); err != nil {
		t.Fatal(err)
	}
}

// reopened opens a descriptor of another process, as if it had been sent.
func reopened(pid, fd int) (int, error) {
	return unix.Open(fmt.Sprintf("/proc/%d/fd/%d", pid, fd), unix.O_RDWR|unix.O_CLOEXEC, 0)
}

func asFile(t testing.TB, s *shm.Segment) *os.File {
	f := os.NewFile(uintptr(dup(t, s)), "segment")
	t.Cleanup(func() { _ = f.Close() })
	return f
}
