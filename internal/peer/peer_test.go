// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/measure"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/policy"
)

// asPeer makes this binary a peer.
const asPeer = "as-peer"

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == asPeer {
		role, err := ParseRole(os.Args[2])
		if err == nil {
			err = Run(context.Background(), role, os.Stdin, os.Stdout)
		}
		switch {
		case errors.Is(err, fault.Denied):
			os.Exit(3)
		case err != nil:
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(proctest.Isolated(m))
}

func newStage(t *testing.T) *Stage {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewStage([]string{self, asPeer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(s.Dir()); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the stage's directory is still there: %v", err)
		}
	})
	return s
}

// TestPeer: each scheme's peer answers every question, and ends.
func TestPeer(t *testing.T) {
	s := newStage(t)
	for _, scheme := range endpoint.Schemes() {
		if scheme == endpoint.Stdio {
			continue
		}
		t.Run(string(scheme), func(t *testing.T) {
			p, err := s.Start(t.Context(), scheme, nil)
			if fault.KindOf(err) == fault.Unsupported {
				t.Skipf("not on this system: %v", err)
			}
			if err != nil {
				t.Fatal(err)
			}
			talk(t, p)
			if err := p.Close(); err != nil {
				t.Errorf("it did not end well once its control line had: %v", err)
			}
		})
	}
}

func talk(t *testing.T, p *Peer) {
	t.Helper()
	conn, err := p.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := Exchange(conn, 100_000); err != nil {
		t.Errorf("exchange: %v", err)
	}
	_ = conn.Close()
	if conn, err = p.Dial(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	client, err := Measure(conn)
	if err != nil {
		t.Fatal(err)
	}
	if lat, err := client.RoundTrips(t.Context(), measure.Trips{Size: 64}); err != nil || lat.Count() != 1 {
		t.Errorf("measure: %d trips, %v", lat.Count(), err)
	}
}

func TestKillAndRestart(t *testing.T) {
	s := newStage(t)
	p, err := s.Start(t.Context(), endpoint.TCP, []policy.Rule{{Who: []string{"anonymous", "*"}, May: []auth.Action{auth.Connect}, On: []string{"*"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	before := p.Address()
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := p.proc.close(); err == nil {
		t.Error("a killed peer is said to have ended well")
	}
	if err := p.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p.Address().String() != before.String() {
		t.Errorf("it listens on %v instead of %v", p.Address(), before)
	}
	talk(t, p)
}

// TestNoPeer: a program that is none is an error, not a wait.
func TestNoPeer(t *testing.T) {
	s := newStage(t)
	s.Program = append(s.Program[:1:1], "-test.run=^$", "-test.v=false")
	_, err := s.Start(t.Context(), endpoint.TCP, nil)
	if fault.KindOf(err) != fault.PeerDied && fault.KindOf(err) != fault.Protocol {
		t.Errorf("a program that is no peer: %v", err)
	}
	s.Program = []string{s.Dir() + "/missing"}
	if _, err := s.Start(t.Context(), endpoint.TCP, nil); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a program that is not there: %v", err)
	}
	if _, err := s.Start(t.Context(), endpoint.Stdio, nil); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a scheme that nobody can listen on: %v", err)
	}
}

// TestStrangers: somebody else is refused, and the peer says whom it refused;
// whoever is let in is not taken for refused.
func TestStrangers(t *testing.T) {
	s := newStage(t)
	p, err := s.Start(t.Context(), endpoint.TLS, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	r, err := p.Intrude(t.Context())
	if err != nil || !r.Refused || r.Bytes != 0 {
		t.Errorf("a stranger met %+v, %v", r, err)
	}
	if seen, err := p.Refused(t.Context()); err != nil || seen.Who != StrangerName {
		t.Errorf("the peer refused %v, %v", seen, err)
	}
	r = Intrude(t.Context(), p.Dial)
	if r.Refused || r.Bytes == 0 {
		t.Errorf("whom policy admits met %+v", r)
	}
}

func TestStrangerByUID(t *testing.T) {
	s := newStage(t)
	p, err := s.Start(t.Context(), endpoint.Unix, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	const uid = 54321
	r, err := p.Stranger(t.Context(), uid)
	if errors.Is(err, ErrNotAnother) {
		t.Skipf("needs root: %v", err)
	}
	if err != nil || !r.Refused || r.Bytes != 0 {
		t.Fatalf("another user met %+v, %v", r, err)
	}
	if !s.Reachable() {
		return // the file system refused it
	}
	if seen, err := p.Refused(t.Context()); err != nil || seen.Who != "uid:54321" {
		t.Errorf("the peer refused %v, %v", seen, err)
	}
}

func TestParseRole(t *testing.T) {
	want := Role{Address: "tls://127.0.0.1:0", Cert: "c", Rules: []policy.Rule{{Who: []string{"*"}, Deny: true}}}
	text, err := want.argument()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseRole(text)
	again, _ := got.argument()
	if err != nil || again != text || strings.Contains(text, "intruder") {
		t.Errorf("%s reads as %+v, %v", text, got, err)
	}
	if _, err := ParseRole("{"); fault.KindOf(err) != fault.Invalid {
		t.Errorf("half a role: %v", err)
	}
}
