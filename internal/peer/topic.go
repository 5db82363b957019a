// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/parley-ipc/parley/engine"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/measure"
	"github.com/parley-ipc/parley/topic"
)

// TopicRole is a child on the topic "demo" of an engine, Role.Address.
type TopicRole struct {
	Load   *TopicLoad   `json:"load,omitempty"`   // publishes; nil: subscribes
	Policy topic.Policy `json:"policy,omitempty"` // of a subscriber
	Last   int          `json:"last,omitempty"`
	Borrow bool         `json:"borrow,omitempty"` // reads in place
	Check  bool         `json:"check,omitempty"`  // that each item holds its number
	Go     bool         `json:"go,omitempty"`     // goes on with the next publisher, for the items of Until
	Until  int          `json:"until,omitempty"`
	Spin   topic.Spin   `json:"spin,omitempty"`
}

// TopicLoad is what a publisher does.
type TopicLoad struct {
	Wait  int           `json:"wait"`  // subscribers, before it begins
	Items int           `json:"items"` // 0: as long as For
	For   time.Duration `json:"for"`
	Size  int           `json:"size"`
	Batch int           `json:"batch"`          // 1: singly
	Loan  bool          `json:"loan,omitempty"` // in place, without touching what is lent but its number
	Ring  int           `json:"ring,omitempty"`
	Pause time.Duration `json:"pause,omitempty"` // between batches
	Hold  bool          `json:"hold,omitempty"`  // stays afterwards, until it is ended
}

// TopicReport is what a child on a topic has done.
type TopicReport struct {
	Items   uint64        `json:"items"` // published, or received
	Lost    uint64        `json:"lost,omitempty"`
	Epochs  uint64        `json:"epochs,omitempty"`
	Elapsed time.Duration `json:"elapsed_ns"` // from the first to the last
	CPU     time.Duration `json:"cpu_ns"`
	Error   string        `json:"error,omitempty"`
	Dropped []string      `json:"dropped,omitempty"` // names of those a publisher has dropped
}

const (
	topicName     = "demo"
	topicPatience = 20 * time.Second // for whoever is only slow, on the busiest machine
)

// runTopic is a child on a topic.
func runTopic(ctx context.Context, role Role, tell func(Event)) error {
	e, err := engine.Open(ctx, role.Address)
	if err != nil {
		return err
	}
	defer func() { _ = e.Close() }()
	if role.Topic.Load != nil {
		return runPublisher(ctx, e.Topic(topicName), *role.Topic.Load, tell)
	}
	return runSubscriber(ctx, e.Topic(topicName), *role.Topic, tell)
}

func runPublisher(ctx context.Context, t topic.Topic, load TopicLoad, tell func(Event)) error {
	dropped := make(chan string, 64)
	cfg := topic.PublisherConfig{MaxData: max(load.Size, 8), Ring: load.Ring, MaxPatience: topicPatience}
	cfg.Dropped = func(s topic.Subscriber, _ error) { dropped <- s.Name }
	p, err := t.Publisher(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()
	tell(Event{What: Listening})
	if err := p.(topic.Admin).AwaitSubscribers(ctx, load.Wait); err != nil {
		return err
	}
	cpu, start := measure.OwnCPU(), time.Now()
	err = load.publish(ctx, p, start)
	r := TopicReport{Items: p.Stats().Published, Elapsed: time.Since(start), CPU: measure.OwnCPU() - cpu, Error: errorText(err)}
	for len(dropped) > 0 {
		r.Dropped = append(r.Dropped, <-dropped)
	}
	tell(Event{What: Published, Topic: r})
	if load.Hold {
		<-ctx.Done()
	}
	return nil
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (load TopicLoad) publish(ctx context.Context, p topic.Publisher, start time.Time) error {
	ms := make([]topic.Message, max(load.Batch, 1))
	for i := range ms {
		ms[i] = topic.Message{Data: make([]byte, load.Size)}
	}
	send := func(next int) (int, error) {
		for i := range ms {
			number(ms[i].Data, next+i)
		}
		return p.PublishBatch(ctx, ms)
	}
	if load.Loan {
		send = func(next int) (int, error) { return 1, load.lend(ctx, p, next) }
	}
	for n := 0; load.Items == 0 || n < load.Items; {
		if load.Items > 0 {
			ms = ms[:min(len(ms), load.Items-n)]
		}
		done, err := send(n)
		if err != nil {
			return err
		}
		n += done
		if load.Items == 0 && time.Since(start) > load.For {
			return nil
		}
		if load.Pause > 0 {
			pause(ctx, load.Pause)
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (load TopicLoad) lend(ctx context.Context, p topic.Publisher, next int) error {
	l, err := p.Loan(ctx, topic.Message{}, load.Size)
	if err != nil {
		return err
	}
	number(l.Bytes(), next)
	return l.Publish(load.Size)
}

// number writes the item's number where there is room for it.
func number(b []byte, n int) {
	if len(b) >= 8 {
		binary.NativeEndian.PutUint64(b, uint64(n))
	}
}

func runSubscriber(ctx context.Context, t topic.Topic, role TopicRole, tell func(Event)) error {
	s, err := t.Subscribe(ctx, topic.SubscribeConfig{
		Policy: role.Policy, Patience: topicPatience, Last: role.Last, EndOnClose: !role.Go, Spin: role.Spin,
	})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	tell(Event{What: Listening})
	cpu := measure.OwnCPU()
	r := TopicReport{}
	r.Elapsed, err = role.read(ctx, s)
	st := s.Stats()
	r.Items, r.Lost, r.Epochs, r.CPU, r.Error = st.Received, st.Lost, st.Publishers, measure.OwnCPU()-cpu, errorText(err)
	tell(Event{What: Received, Topic: r})
	return nil
}

// read reads to the end and says how long it took from the first on.
func (role TopicRole) read(ctx context.Context, s topic.Subscription) (time.Duration, error) {
	items := make([]topic.Item, 64)
	var start time.Time
	for n := 0; role.Until == 0 || n < role.Until; {
		got, err := 1, error(nil)
		if role.Borrow {
			items[0], err = s.Borrow(ctx)
		} else {
			got, err = s.NextBatch(ctx, items)
		}
		if errors.Is(err, io.EOF) {
			return time.Since(start), nil
		}
		if err != nil {
			return 0, err
		}
		if start.IsZero() {
			start = time.Now()
		}
		n += got
		if role.Check {
			err = checkNumbers(items[:got])
		}
		if role.Borrow && !s.Release() && role.Policy == topic.Reliable {
			err = errors.Join(err, fault.New(fault.Protocol, "release", "", errors.New("an item was overwritten while it was borrowed")))
		}
		if err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}

func checkNumbers(items []topic.Item) error {
	for _, it := range items {
		if len(it.Data) < 8 || binary.NativeEndian.Uint64(it.Data) != it.Seq {
			return fault.New(fault.Protocol, "check", "", fmt.Errorf("item %d holds another", it.Seq))
		}
	}
	return nil
}

// TopicPeer is a child on a topic.
type TopicPeer struct{ proc *process }

// Topic starts a child on a topic of the stage's engine of that name, and
// waits until it publishes, or has subscribed.
func (s *Stage) Topic(ctx context.Context, name string, role TopicRole) (*TopicPeer, error) {
	proc, err := s.start(Role{Address: "mem://" + name, Topic: &role}, nil)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if _, err := expect(ctx, proc.events, Listening); err != nil {
		return nil, errors.Join(err, proc.end(failTime))
	}
	return &TopicPeer{proc}, nil
}

// Report waits for what the child has done.
func (p *TopicPeer) Report(ctx context.Context) (TopicReport, error) {
	select {
	case e, ok := <-p.proc.events:
		if !ok {
			return TopicReport{}, fault.New(fault.PeerDied, "wait", "", errors.New("the child ended before it reported"))
		}
		if e.Topic.Error != "" {
			return e.Topic, fault.New(fault.Other, "report", "", errors.New(e.Topic.Error))
		}
		return e.Topic, nil
	case <-ctx.Done():
		return TopicReport{}, fault.Wrap("wait for a report", "", context.Cause(ctx))
	}
}

// PID is the child's.
func (p *TopicPeer) PID() int { return p.proc.cmd.Process.Pid }

// Kill is SIGKILL.
func (p *TopicPeer) Kill() error { return p.proc.kill() }

// Close ends the child. How a killed one ended is no news.
func (p *TopicPeer) Close() { _ = p.proc.end(failTime) }
