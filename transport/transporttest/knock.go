// SPDX-License-Identifier: Apache-2.0

package transporttest

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/parley-ipc/parley/transport"
)

// killWhileConnecting kills a peer in the midst of connecting: one that dials
// over and over, and one that listens while we dial over and over. What
// counts is who is left: the listener serves its next client, the dialer gets
// an error, and the dead listener's name can be listened on.
func killWhileConnecting(t *testing.T, b Backend) {
	seed := uint64(fromEnv(t, "PARLEY_SEED", int(rand.Uint32())))
	rounds := fromEnv(t, "PARLEY_KILLS", 10)
	t.Logf("%d kills a side; PARLEY_SEED=%d repeats them", rounds, seed)
	rng := rand.New(rand.NewPCG(seed, 99))
	for name, round := range map[string]func(t *testing.T, b Backend, after int){
		"Dialer": killDialer, "Listener": killListener,
	} {
		t.Run(name, func(t *testing.T) {
			t.Run("warm-up", func(t *testing.T) { round(t, b, 1) })
			before := takeInventory()
			for range rounds {
				after := rng.IntN(40)
				if !t.Run("round", func(t *testing.T) { round(t, b, after) }) {
					break
				}
			}
			before.compare(t)
		})
	}
}

// killDialer kills after so many connections.
func killDialer(t *testing.T, b Backend, after int) {
	l := listen(t, b, transport.ListenConfig{HandshakeTimeout: limit})
	child := start(t, b, "knock", l.Address().String())
	child.Expect("knocking")
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	for range after {
		c, err := l.AcceptConn(ctx)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
	child.Kill()
	// What the dead one had under way may still come out; it ends at once.
	want := make(chan error, 1)
	go func() { want <- clientEcho(t.Context(), b, l.Address().String(), 1) }()
	served, stop := make(chan struct{}), context.CancelFunc(nil)
	ctx, stop = context.WithCancel(t.Context())
	go func() { defer close(served); _ = serve(ctx, l, echoVerb) }()
	if err := within(t, "the next client", want); err != nil {
		t.Errorf("the next client: %v", err)
	}
	stop()
	within(t, "the listener's end", served)
}

// killListener kills while we are in about our so-manieth dial.
func killListener(t *testing.T, b Backend, after int) {
	child := start(t, b, "listen", b.Address(t), "hold")
	addr := child.Hear()
	reached, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		for i := 0; ; i++ {
			if i == after {
				close(reached)
			}
			c, err := b.Dial(context.Background(), addr, transport.DialConfig{HandshakeTimeout: limit})
			if err != nil {
				ended <- err
				return
			}
			_ = c.Close()
		}
	}()
	within(t, "connecting", reached)
	child.Kill()
	_ = within(t, "an error from dialling a listener that was killed", ended)
	pingPong(t, b, listenOn(t, b, addr, transport.ListenConfig{}))
}
