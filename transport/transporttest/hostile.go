// SPDX-License-Identifier: Apache-2.0

package transporttest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/parley-ipc/parley/transport"
)

// Attack is what a hostile or broken peer does instead of the handshake.
type Attack struct {
	Name string

	// Do misbehaves on c. Its errors are its own business: what counts is the
	// listener afterwards. It should end when writing fails.
	Do func(c net.Conn)
}

// handshakeTime is what a listener under attack gives a handshake.
const handshakeTime = 300 * time.Millisecond

// attacks fit every handshake.
var attacks = []Attack{
	{"RandomBytes", func(c net.Conn) { _, _ = c.Write(noise(666, 64<<10)) }},
	{"Truncated", func(c net.Conn) { _, _ = c.Write(noise(667, 3)); _ = c.Close() }},
	{"ClosesAtOnce", func(c net.Conn) { _ = c.Close() }},
	{"HugeLengths", func(c net.Conn) { _, _ = c.Write(bytes.Repeat([]byte{0xff}, 4096)) }},
	{"Zeroes", func(c net.Conn) { _, _ = c.Write(make([]byte, 4096)) }},
	{"NeverSpeaks", func(net.Conn) {}},
	{"ByteByByte", drip},
}

// drip sends a byte now and then for as long as it is let, many times longer
// than a handshake may take.
func drip(c net.Conn) {
	tick := time.NewTicker(handshakeTime / 4)
	defer tick.Stop()
	for range 400 {
		<-tick.C
		if _, err := c.Write([]byte{0}); err != nil {
			return
		}
	}
}

// Hostile attacks a backend that has a handshake: with the attacks that fit
// every one, and with its own. raw connects to the address beneath the
// handshake. After each attack the listener must have hung up, counted and
// logged a failure, and must serve its next client; in the end nothing leaks.
func Hostile(t *testing.T, b Backend, raw func(ctx context.Context, addr string) (net.Conn, error), own ...Attack) {
	all := append(append([]Attack(nil), attacks...), own...)
	t.Run("warm-up", func(t *testing.T) { attack(t, b, raw, all[0]) })
	before := takeInventory()
	for _, a := range all {
		t.Run(a.Name, func(t *testing.T) { attack(t, b, raw, a) })
	}
	before.compare(t)
}

func attack(t *testing.T, b Backend, raw func(ctx context.Context, addr string) (net.Conn, error), a Attack) {
	log := make(logged, 64)
	l := listen(t, b, transport.ListenConfig{HandshakeTimeout: handshakeTime, Logger: slog.New(log)})
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	c, err := raw(ctx, l.Address().String())
	if err != nil {
		t.Fatalf("connecting beneath the handshake: %v", err)
	}
	defer func() { _ = c.Close() }()
	bound(t, c)
	a.Do(c)
	if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the listener did not hang up within %v, its limit being %v", limit, handshakeTime)
	}
	for !strings.Contains(within(t, "a line on a failed handshake in the log", log), "handshake") {
	}
	if counters := countersOf(t, b, l); counters != nil && (counters.Failed.Load() != 1 || counters.Accepted.Load() != 0) {
		t.Errorf("Counters: failed %d, accepted %d, want 1 and 0", counters.Failed.Load(), counters.Accepted.Load())
	}
	pingPong(t, b, l)
}

// logged is a slog.Handler that passes on each message.
type logged chan string

func (l logged) Enabled(context.Context, slog.Level) bool { return true }
func (l logged) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l logged) WithGroup(string) slog.Handler            { return l }

func (l logged) Handle(_ context.Context, r slog.Record) error {
	select {
	case l <- r.Message:
	default: // nobody reads that many
	}
	return nil
}
