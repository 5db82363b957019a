// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/message"
)

func TestMain(m *testing.M) {
	proctest.RunRole(map[string]proctest.Role{"send": sendRole, "receive": receiveRole})
	goleak.VerifyTestMain(proctest.Isolated(m))
}

// receiveRole dials args[0] and receives into args[1].
func receiveRole(p *proctest.Self) error {
	c, err := net.Dial("unix", p.Args[0])
	if err != nil {
		return err
	}
	mc := message.NewConn(plain{c}, message.Config{})
	defer func() { _ = mc.Close() }()
	told := false
	return Receive(context.Background(), mc, p.Args[1], ReceiveOptions{Progress: func(Progress) {
		if !told {
			told = true
			p.Say("in the middle")
		}
	}})
}

// sendRole dials args[0] and sends a stream that never ends.
func sendRole(p *proctest.Self) error {
	c, err := net.Dial("unix", p.Args[0])
	if err != nil {
		return err
	}
	mc := message.NewConn(plain{c}, message.Config{})
	defer func() { _ = mc.Close() }()
	return Send(context.Background(), mc, []string{"-"}, SendOptions{Stdin: endless{}})
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// start runs role and returns our side of the connection to it.
func start(t *testing.T, role string, args ...string) (*proctest.Process, *message.Conn) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	p := proctest.Start(t, role, append([]string{l.Addr().String()}, args...)...)
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	mc := message.NewConn(plain{c}, message.Config{})
	t.Cleanup(func() { _ = mc.Close() })
	return p, mc
}

func TestReceiverKilled(t *testing.T) {
	to := t.TempDir()
	p, mc := start(t, "receive", to)
	done := make(chan error, 1)
	go func() { done <- Send(background(t), mc, []string{"-"}, SendOptions{Stdin: endless{}}) }()
	p.Expect("in the middle")
	p.Kill()
	if err := <-done; !errors.Is(err, fault.PeerDied) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("the sender got %v", err)
	}
	_ = p.Wait()
	entries, err := os.ReadDir(to)
	if err != nil || len(entries) != 1 || !isPart(entries[0].Name()) || !strings.HasPrefix(entries[0].Name(), ".stdin.") {
		t.Fatalf("left behind: %v, %v", entries, err)
	}
	if runtime.GOOS != "linux" {
		return // only there is the part proven to be dead
	}
	serr, rerr := run(t, []string{"-"}, SendOptions{Stdin: bytes.NewReader([]byte("again"))}, to, ReceiveOptions{})
	if serr != nil || rerr != nil {
		t.Fatal(serr, rerr)
	}
	wantNames(t, to, "stdin")
}

func TestSenderKilled(t *testing.T) {
	to := t.TempDir()
	p, mc := start(t, "send")
	middle := make(chan struct{}, 1)
	done := make(chan error, 1)
	go func() {
		done <- Receive(background(t), mc, to, ReceiveOptions{Progress: func(Progress) {
			select {
			case middle <- struct{}{}:
			default:
			}
		}})
	}()
	<-middle
	p.Kill()
	if err := <-done; !errors.Is(err, fault.PeerDied) {
		t.Fatalf("the receiver got %v", err)
	}
	wantNames(t, to)
}

// TestSweepSparesALiveReceiver: two receivers share a directory.
func TestSweepSparesALiveReceiver(t *testing.T) {
	to := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	p, mc := start(t, "receive", to)
	done := make(chan error, 1)
	go func() { done <- Send(ctx, mc, []string{"-"}, SendOptions{Stdin: endless{}}) }()
	p.Expect("in the middle")
	serr, rerr := run(t, []string{"-"}, SendOptions{Stdin: strings.NewReader("x"), Name: "other"}, to, ReceiveOptions{})
	if serr != nil || rerr != nil {
		t.Fatal(serr, rerr)
	}
	entries, err := os.ReadDir(to)
	if err != nil || len(entries) != 2 || !isPart(entries[0].Name()) {
		t.Fatalf("the live receiver's part is gone: %v, %v", entries, err)
	}
	cancel()
	if err := <-done; !errors.Is(err, fault.Canceled) {
		t.Fatal(err)
	}
}

// A sender may be gone before the first word of ours: to the user that is
// receiving that failed, too.
func TestSenderGoneBeforeOurFirstWord(t *testing.T) {
	far, near := sockets(t)
	sender, mc := conversation(t, far, near)
	for _, words := range [][]byte{appendHello(nil), appendOffer(nil, offer{name: "x", size: -1})} {
		if err := sender.Send(t.Context(), words); err != nil {
			t.Fatal(err)
		}
	}
	_ = far.Close() // as a kill would: without a goodbye
	err := Receive(t.Context(), mc, t.TempDir(), ReceiveOptions{})
	var f *fault.Error
	if !errors.As(err, &f) || f.Op != "receive" || f.Kind != fault.PeerDied {
		t.Errorf("%v, want receive: peer died", err)
	}
}
