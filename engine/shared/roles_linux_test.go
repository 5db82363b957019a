// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/policy"
	"github.com/parley-ipc/parley/topic"
)

// roleTime bounds a role's life.
const roleTime = 2 * time.Minute

func roleContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), roleTime)
}

func openRole(address string, cfg Config) (*Engine, error) {
	addr, err := endpoint.Parse(address)
	if err != nil {
		return nil, err
	}
	return Open(context.Background(), addr, cfg)
}

// testMost is the largest item of these tests, in bytes.
const testMost = 3000

// contentOf is the item of that number: its length and bytes follow from it.
func contentOf(b []byte, seq uint64) []byte {
	b = b[:0]
	for i := range int(seq * 2654435761 % (testMost + 1)) {
		b = append(b, byte(seq)+byte(i)*31)
	}
	return b
}

func checkItem(it topic.Item) error {
	if want := int(it.Seq * 2654435761 % (testMost + 1)); len(it.Data) != want || it.Subject != "n."+strconv.Itoa(int(it.Seq%3)) {
		return fmt.Errorf("item %d has %d bytes on %q, want %d", it.Seq, len(it.Data), it.Subject, want)
	}
	for i, c := range it.Data {
		if c != byte(it.Seq)+byte(i)*31 {
			return fmt.Errorf("item %d is torn at byte %d of %d", it.Seq, i, len(it.Data))
		}
	}
	return nil
}

// numberedBatch is a batch of items from next on.
func numberedBatch(ms []topic.Message, next uint64) {
	for i := range ms {
		seq := next + uint64(i)
		ms[i].Subject, ms[i].Data = "n."+strconv.Itoa(int(seq%3)), contentOf(ms[i].Data, seq)
	}
}

// publishRole publishes numbered items to mem://desk, topic n, until there are
// as many as its argument says, or without end.
func publishRole(p *proctest.Self) error {
	most, err := strconv.ParseUint(p.Args[0], 10, 64)
	if err != nil {
		return err
	}
	e, err := openRole("mem://desk", Config{})
	if err != nil {
		return err
	}
	ctx, cancel := roleContext()
	defer cancel()
	pub, err := e.Topic("n").Publisher(ctx, topic.PublisherConfig{MaxData: 4 << 10, Ring: 64 << 10, MaxPatience: 20 * time.Second})
	if err != nil {
		return err
	}
	p.Say("publishing")
	ms := make([]topic.Message, 7)
	for next := uint64(0); next < most; next += uint64(len(ms)) {
		ms = ms[:min(uint64(len(ms)), most-next)]
		numberedBatch(ms, next)
		if _, err := pub.PublishBatch(ctx, ms); err != nil {
			return err
		}
	}
	return pub.Close()
}

// subscribeN subscribes to mem://desk, topic n, by the policy that is the role's
// argument, and says so.
func subscribeN(ctx context.Context, p *proctest.Self, cfg topic.SubscribeConfig) (sub topic.Subscription, err error) {
	if cfg.Policy, err = topic.ParsePolicy(p.Args[0]); err != nil {
		return nil, err
	}
	e, err := openRole("mem://desk", Config{})
	if err != nil {
		return nil, err
	}
	if sub, err = e.Topic("n").Subscribe(ctx, cfg); err == nil {
		p.Say("subscribed")
	}
	return sub, err
}

// subscribeRole reads numbered items of mem://desk, topic n, by a policy until
// the publisher closes, and says how many it got and lost.
func subscribeRole(p *proctest.Self) error {
	ctx, cancel := roleContext()
	defer cancel()
	sub, err := subscribeN(ctx, p, topic.SubscribeConfig{Patience: 20 * time.Second, EndOnClose: true})
	if err != nil {
		return err
	}
	for n, next := 0, uint64(0); ; n, next = n+1, next+1 {
		it, err := sub.Next(ctx)
		if n == 0 { // whoever comes late begins later
			next = it.Seq - it.Lost
		}
		if errors.Is(err, io.EOF) {
			st := sub.Stats()
			p.Sayf("%d %d", st.Received, st.Lost)
			return nil
		}
		if err != nil {
			return err
		}
		if next += it.Lost; it.Seq != next {
			return fmt.Errorf("item %d, want %d", it.Seq, next)
		}
		if err := checkItem(it); err != nil {
			return err
		}
	}
}

// ownerRole publishes to mem://desk, topic prices, under rules: who may
// subscribe. It says what its log says when asked.
func ownerRole(p *proctest.Self) error {
	var log lockedBuilder
	cfg := Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}
	if len(p.Args) > 0 {
		pol, err := policy.New([]policy.Rule{{Who: p.Args, May: []auth.Action{auth.Subscribe}, On: []string{"topic:prices"}}}, policy.Options{})
		if err != nil {
			return err
		}
		cfg.Authorizer = pol
	}
	e, err := openRole("mem://desk", cfg)
	if err != nil {
		return err
	}
	pub, err := e.Topic("prices").Publisher(context.Background(), topic.PublisherConfig{})
	if err != nil {
		return err
	}
	if err := pub.Publish(context.Background(), topic.Message{Subject: "x", Data: []byte("kept")}); err != nil {
		return err
	}
	p.Say("publishing")
	for {
		if _, err := p.Hear(); err != nil {
			return pub.Close()
		}
		p.Say(log.String())
	}
}

// peekRole subscribes at an address and says what it got, or which kind of
// error.
func peekRole(p *proctest.Self) error {
	e, err := openRole(p.Args[0], Config{})
	if err != nil {
		return err
	}
	ctx, cancel := roleContext()
	defer cancel()
	sub, err := e.Topic("prices").Subscribe(ctx, topic.SubscribeConfig{Last: 1})
	if err != nil {
		p.Sayf("%v|%v", fault.KindOf(err), err)
		return nil
	}
	it, err := sub.Next(ctx)
	if err != nil {
		return err
	}
	p.Sayf("ok %s", it.Data)
	return nil
}

func envInt(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

// lockedBuilder is written and read by many.
type lockedBuilder struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuilder) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuilder) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
