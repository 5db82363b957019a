// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/parley-ipc/parley/bench/internal/party"
	"github.com/parley-ipc/parley/engine"
	"github.com/parley-ipc/parley/topic"
)

// topicCast is cast by name, as programs use it: an engine in each process,
// reliable subscriptions, sleepers woken.
type topicCast struct {
	cast
	out topic.Publisher
	in  topic.Subscription
}

// topicBatches is topicCast whose subscribers read as their publisher writes:
// many at a time.
type topicBatches struct {
	*topicCast
	items []topic.Item
}

func topicRole(many bool) party.Role {
	return func(ctx context.Context, s party.Side) (party.Runner, error) {
		name := "topic"
		if many {
			name = "topic-many"
		}
		connect, err := meetAll(ctx, s, name)
		if err != nil {
			return nil, err
		}
		t := &topicCast{cast: cast{ctx: ctx, many: many, bytes: make([]byte, 1<<20)}}
		return duplexRunner(s, func() (duplex, error) {
			if err := connect(&t.cast); err != nil {
				return nil, err
			}
			if err := t.open(s, name); err != nil || !many {
				return t, err
			}
			return topicBatches{t, make([]topic.Item, batch)}, nil
		}), nil
	}
}

func (t *topicCast) open(s party.Side, name string) error {
	e, err := engine.Open(t.ctx, "mem://bench")
	if err != nil {
		return err
	}
	if !s.Left {
		t.in, err = e.Topic(name).Subscribe(t.ctx, topic.SubscribeConfig{Policy: topic.Reliable, Patience: patience})
		return err
	}
	if t.out, err = e.Topic(name).Publisher(t.ctx, topic.PublisherConfig{MaxPatience: patience}); err != nil {
		return err
	}
	admin, ok := t.out.(topic.Admin)
	if !ok {
		return errors.New("the engine's publisher is no topic.Admin")
	}
	return admin.AwaitSubscribers(t.ctx, s.Readers)
}

func (t *topicCast) sendMany(size, n int) error {
	if !t.many {
		for range n {
			if err := t.out.Publish(t.ctx, topic.Message{Data: t.bytes[:size]}); err != nil {
				return err
			}
		}
		return nil
	}
	messages := make([]topic.Message, batch)
	for i := range messages {
		messages[i].Data = t.bytes[i*size : (i+1)*size]
	}
	for ; n > 0; n -= batch {
		if _, err := t.out.PublishBatch(t.ctx, messages[:min(n, batch)]); err != nil {
			return err
		}
	}
	return nil
}

// receive takes an item on the right, everybody's confirmation on the left.
func (t *topicCast) receive() (int, error) {
	if t.in == nil {
		return t.cast.receive()
	}
	item, err := t.in.Next(t.ctx)
	if err == nil && item.Lost > 0 {
		err = fmt.Errorf("%d items lost", item.Lost)
	}
	return len(item.Data), err
}

// drain takes items until there were n of them.
func (t topicBatches) drain(size, n int) error {
	for n > 0 {
		got, err := t.in.NextBatch(t.ctx, t.items[:min(n, len(t.items))])
		if err != nil {
			return err
		}
		for i := range t.items[:got] {
			if it := &t.items[i]; len(it.Data) != size || it.Lost > 0 {
				return fmt.Errorf("an item of %d bytes after %d lost, want %d", len(it.Data), it.Lost, size)
			}
		}
		n -= got
	}
	return nil
}
