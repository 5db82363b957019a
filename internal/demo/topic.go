// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/parley-ipc/parley/engine"
	"github.com/parley-ipc/parley/internal/peer"
	"github.com/parley-ipc/parley/topic"
)

// topicEngine is the engine of the demonstration's topics.
const topicEngine = "demo"

// cast is children on a topic, in the order in which they were started.
type cast []*peer.TopicPeer

func (c *cast) start(ctx context.Context, stage *peer.Stage, role peer.TopicRole) error {
	if e, err := engine.Open(ctx, "mem://"+topicEngine); err != nil {
		return err // this system has no such thing
	} else if err := e.Close(); err != nil {
		return err
	}
	p, err := stage.Topic(ctx, topicEngine, role)
	if err == nil {
		*c = append(*c, p)
	}
	return err
}

func (c *cast) close() {
	for _, p := range *c {
		p.Close()
	}
}

// everybody: four processes of the three policies get what one publishes.
func everybody(ctx context.Context, stage *peer.Stage) (f finding, err error) {
	const items = 50_000
	var c cast
	defer c.close()
	policies := []topic.Policy{topic.Reliable, topic.Reliable, topic.Lossy, topic.Latest}
	for _, policy := range policies { // before there is a publisher
		if err := c.start(ctx, stage, peer.TopicRole{Policy: policy, Check: true}); err != nil {
			return f, err
		}
	}
	if err := c.start(ctx, stage, peer.TopicRole{Load: &peer.TopicLoad{Wait: len(policies), Items: items, Size: 256, Batch: 50}}); err != nil {
		return f, err
	}
	var text []string
	values := map[string]any{}
	for i, policy := range policies {
		r, err := c[i].Report(ctx)
		if err == nil && (r.Items+r.Lost != items || policy == topic.Reliable && r.Lost > 0) {
			err = fmt.Errorf("%d of %d came and %d were counted as lost", r.Items, items, r.Lost)
		}
		if err != nil {
			return f, fmt.Errorf("%v: %w", policy, err)
		}
		text = append(text, fmt.Sprintf("%v %d", policy, r.Items))
		values[fmt.Sprintf("%v %d", policy, i)] = r
	}
	return finding{fmt.Sprintf("of %d items to 4 processes: %s, the others counted as lost", items, strings.Join(text, ", ")), values}, nil
}

// frames: pictures written where four processes read them.
func frames(ctx context.Context, stage *peer.Stage) (f finding, err error) {
	const size, items = 1920 * 1080 * 4, 60
	var c cast
	defer c.close()
	for range 4 {
		if err := c.start(ctx, stage, peer.TopicRole{Policy: topic.Reliable, Borrow: true, Check: true}); err != nil {
			return f, err
		}
	}
	if err := c.start(ctx, stage, peer.TopicRole{Load: &peer.TopicLoad{Wait: 4, Items: items, Size: size, Loan: true}}); err != nil {
		return f, err
	}
	for i := range 4 {
		r, err := c[i].Report(ctx)
		if err == nil && (r.Items != items || r.Lost != 0) {
			err = fmt.Errorf("%d of %d frames came", r.Items, items)
		}
		if err != nil {
			return f, err
		}
	}
	r, err := c[4].Report(ctx)
	if err != nil {
		return f, err
	}
	each := r.Elapsed / items
	return finding{fmt.Sprintf("%d frames of 1080p to 4 processes, %s ms each, nothing copied", items, milliseconds(each)), map[string]any{"frame_ns": each, "publisher": r}}, nil
}

// successor: a publisher is killed, and who subscribed finds the next one.
func successor(ctx context.Context, stage *peer.Stage) (f finding, err error) {
	const most = 400
	var c cast
	defer c.close()
	if err := c.start(ctx, stage, peer.TopicRole{Policy: topic.Reliable, Check: true, Go: true, Until: most + 1}); err != nil {
		return f, err
	}
	load := peer.TopicLoad{Wait: 1, Items: most, Size: 100, Batch: 1, Hold: true}
	if err := c.start(ctx, stage, peer.TopicRole{Load: &load}); err != nil {
		return f, err
	}
	if _, err := c[1].Report(ctx); err != nil {
		return f, err
	}
	if err := c[1].Kill(); err != nil {
		return f, err
	}
	c[1].Close() // reaped: the name is free
	if err := c.start(ctx, stage, peer.TopicRole{Load: &load}); err != nil {
		return f, err
	}
	r, err := c[0].Report(ctx)
	switch {
	case err != nil:
		return f, err
	case r.Epochs != 2 || r.Lost != 0 || r.Items <= most:
		return f, errors.New("the subscriber did not find the next publisher, or lost items")
	}
	return finding{fmt.Sprintf("killed (-9) after %d items; its successor was found, 0 of %d lost", most, r.Items), map[string]any{"subscriber": r}}, nil
}
