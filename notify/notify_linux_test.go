// SPDX-License-Identifier: Apache-2.0

package notify_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/notify"
	"github.com/parley-ipc/parley/policy"
)

func TestMain(m *testing.M) {
	proctest.RunRole(map[string]proctest.Role{"poster": poster, "waiter": waiter})
	goleak.VerifyTestMain(proctest.Isolated(m))
}

// poster posts each payload that it hears, and says how that went.
func poster(p *proctest.Self) error {
	for {
		payload, err := p.Hear()
		if err != nil {
			return nil //nolint:nilerr // the test is over
		}
		p.Say(fmt.Sprint(fault.KindOf(notify.Post(context.Background(), p.Args[0], []byte(payload)))))
	}
}

// waiter has a name until it is killed.
func waiter(p *proctest.Self) error {
	w, err := notify.Wait(context.Background(), p.Args[0], notify.Config{})
	if err != nil {
		return err
	}
	p.Say("waiting")
	for {
		n, err := w.Next(context.Background())
		if err != nil {
			return err
		}
		p.Sayf("%s %d", n.Payload, n.Count)
	}
}

func wait(t *testing.T, name string, cfg notify.Config) *notify.Waiter {
	t.Helper()
	w, err := notify.Wait(t.Context(), name, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func TestPayloadAndCount(t *testing.T) {
	w := wait(t, "config", notify.Config{})
	p := proctest.Start(t, "poster", "config")
	for i := range 5 {
		p.Say(strconv.Itoa(i))
		p.Expect("failed") // no fault at all: KindOf(nil)
	}
	n, err := w.Next(t.Context())
	if err != nil || string(n.Payload) != "4" || n.Count != 5 || n.From.UID != uint32(os.Getuid()) || n.From.PID != p.Pid() || n.At.IsZero() {
		t.Errorf("%+v, %v", n, err)
	}
	p.Say("")
	p.Expect("failed")
	if n, err = w.Next(t.Context()); err != nil || len(n.Payload) != 0 || n.Count != 1 {
		t.Errorf("an empty one: %+v, %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if n, err = w.Next(ctx); !errors.Is(err, fault.Canceled) {
		t.Errorf("none is left, and Next is called off: %+v, %v", n, err)
	}
}

// Every post is counted, whoever else posts.
func TestManyPosters(t *testing.T) {
	w := wait(t, "many", notify.Config{})
	const posters, each = 4, 25
	done := make(chan error, posters)
	for range posters {
		go func() {
			var err error
			for range each {
				err = errors.Join(err, notify.Post(t.Context(), "many", []byte("x")))
			}
			done <- err
		}()
	}
	var count uint64
	for count < posters*each {
		n, err := w.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		count += n.Count
	}
	for range posters {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if count != posters*each {
		t.Errorf("%d were counted, and %d posted", count, posters*each)
	}
}

func TestNobodyWaits(t *testing.T) {
	if err := notify.Post(t.Context(), "nobody", nil); !errors.Is(err, fault.Unavailable) {
		t.Errorf("nobody there: %v", err)
	}
	p := proctest.Start(t, "waiter", "mortal")
	p.Expect("waiting")
	if _, err := notify.Wait(t.Context(), "mortal", notify.Config{}); !errors.Is(err, fault.InUse) {
		t.Errorf("a second waiter: %v", err)
	}
	if err := notify.Post(t.Context(), "mortal", []byte("hello")); err != nil {
		t.Error(err)
	}
	p.Expect("hello 1")
	p.Kill()
	if err := notify.Post(t.Context(), "mortal", nil); !errors.Is(err, fault.Unavailable) {
		t.Errorf("the waiter is dead: %v", err)
	}
	wait(t, "mortal", notify.Config{}) // its name is free
}

func TestPolicy(t *testing.T) {
	deny, err := policy.New([]policy.Rule{{Deny: true, Who: []string{fmt.Sprintf("uid:%d", os.Geteuid())}, May: []auth.Action{auth.Signal}, On: []string{"notify:secret"}}}, policy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := wait(t, "secret", notify.Config{Authorizer: deny})
	if err := notify.Post(t.Context(), "secret", []byte("psst")); !errors.Is(err, fault.Denied) {
		t.Errorf("got %v, want denied", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if n, err := w.Next(ctx); err == nil {
		t.Errorf("a denied one has come: %+v", n)
	}
	asked := make(chan string, 1)
	wait(t, "asked", notify.Config{Authorizer: auth.AuthorizerFunc(func(_ context.Context, _ auth.Identity, a auth.Action, on string) error {
		asked <- string(a) + " " + on
		return nil
	})})
	if err := notify.Post(t.Context(), "asked", nil); err != nil {
		t.Error(err)
	}
	if got := <-asked; got != "signal notify:asked" {
		t.Errorf("policy was asked for %q", got)
	}
}

func TestMistakes(t *testing.T) {
	if err := notify.Post(t.Context(), "n", make([]byte, notify.MaxPayload+1)); !errors.Is(err, fault.TooLarge) {
		t.Errorf("too large: %v", err)
	}
	for _, name := range []string{"", "a/b", "..", "a b", "/tmp/x", "@x", strings.Repeat("n", 200)} {
		if err := notify.Post(t.Context(), name, nil); !errors.Is(err, fault.Invalid) && !errors.Is(err, fault.TooLarge) {
			t.Errorf("name %q: %v", name, err)
		}
	}
}

// Peers that say nonsense, or nothing, keep nobody from posting.
func TestHostilePeers(t *testing.T) {
	w := wait(t, "robust", notify.Config{})
	path, err := endpoint.DialPath(endpoint.Address{Scheme: endpoint.Unix, Name: "notify-robust"})
	if err != nil {
		t.Fatal(err)
	}
	for _, say := range []string{"", "\x01", "\x01\x00\x05ab", "\x02\x00\x00", "\x01\xff\xff", "GET / HTTP/1.1\r\n\r\n"} {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte(say)); err != nil {
			t.Error(err)
		}
		defer func() { _ = c.Close() }() // they stay for as long as they may
	}
	if err := notify.Post(t.Context(), "robust", []byte("through")); err != nil {
		t.Error(err)
	}
	if n, err := w.Next(t.Context()); err != nil || string(n.Payload) != "through" || n.Count != 1 {
		t.Errorf("%+v, %v", n, err)
	}
}

// More silent peers than are served at once: each is given up in its time, which
// is 5 s.
func TestSilentPeersAreGivenUp(t *testing.T) {
	w := wait(t, "patient", notify.Config{})
	path, err := endpoint.DialPath(endpoint.Address{Scheme: endpoint.Unix, Name: "notify-patient"})
	if err != nil {
		t.Fatal(err)
	}
	for range 70 {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	for range 50 { // the first may be quicker than the silent
		if err := notify.Post(ctx, "patient", []byte("through")); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := w.Next(ctx); err != nil || string(n.Payload) != "through" {
		t.Errorf("%+v, %v", n, err)
	}
}

func TestCloseEndsNext(t *testing.T) {
	w := wait(t, "closing", notify.Config{})
	ended := make(chan error)
	go func() {
		_, err := w.Next(t.Context())
		ended <- err
	}()
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, fault.Closed) {
		t.Errorf("Next ended with %v", err)
	}
}
