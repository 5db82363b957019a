// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/topic"
)

type subFlags struct {
	topicFlags
	policy   string
	patience time.Duration
	last     int
	count    uint64
	end, raw bool
}

func subVerb(a *app) *cobra.Command {
	var f subFlags
	cmd := &cobra.Command{
		Use:   "sub [SUBJECT]",
		Short: "Subscribe to a topic, and print its items",
		Long: `Prints the data of each item whose subject matches, and a line feed if it does
not end in one; with --raw the bytes and nothing else, with --json a line each.
In SUBJECT "*" stands for one token and ">" for one or more at the end; without
SUBJECT everything is printed.

It may start before there is a publisher, waits for the next one when one has
ended, and goes on until --count items were printed, with --end the publisher
has closed, or it is interrupted. What --policy loses is logged with its count:

  lossy     the publisher never waits; overwritten items are lost (the default)
  latest    the newest only
  reliable  the publisher waits, at most for --patience, then drops us`,
		Example: `  parley sub --at mem://desk
  parley sub 'prices.*' --last 10 --count 10 --json --at mem://desk
  parley sub --policy reliable --patience 5s`,
		Args: maxArgs(1, "[SUBJECT]"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.sub(cmd.Context(), &f, args) },
	}
	f.add(cmd)
	fs := cmd.Flags()
	fs.StringVar(&f.policy, "policy", "lossy", "lossy, latest or reliable: what happens when we are slow")
	_ = fs.SetAnnotation("policy", ownMeaning, nil)
	fs.DurationVar(&f.patience, "patience", topic.DefaultPatience, "reliable: how long the publisher is to wait for us")
	fs.IntVar(&f.last, "last", 0, "begin with as many of the items that are still there")
	fs.Uint64Var(&f.count, "count", 0, "end after that many items (0: never)")
	fs.BoolVar(&f.end, "end", false, "end when the publisher has closed")
	fs.BoolVar(&f.raw, "raw", false, "the data's bytes and nothing else")
	return cmd
}

// subscribed is an item in JSON: text if it is that, else base64.
type subscribed struct {
	Subject string            `json:"subject"`
	Seq     uint64            `json:"seq"`
	Epoch   uint64            `json:"epoch"`
	Time    time.Time         `json:"time"`
	Lost    uint64            `json:"lost,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
	Text    *string           `json:"text,omitempty"`
	Data    []byte            `json:"data,omitempty"`
}

func (a *app) sub(ctx context.Context, f *subFlags, args []string) error {
	policy, err := topic.ParsePolicy(f.policy)
	if err != nil {
		return err
	}
	cfg := topic.SubscribeConfig{Policy: policy, Patience: f.patience, Last: f.last, EndOnClose: f.end, MaxRing: 1 << 30}
	if len(args) == 1 {
		cfg.Subject = args[0]
	}
	e, done, err := f.open(ctx, a)
	if err != nil {
		return err
	}
	s, err := e.Topic(f.topic).Subscribe(ctx, cfg)
	if err != nil {
		return errors.Join(err, done())
	}
	err = a.printItems(ctx, f, s)
	return errors.Join(err, s.Close(), done())
}

func (a *app) printItems(ctx context.Context, f *subFlags, s topic.Subscription) error {
	for n := uint64(0); f.count == 0 || n < f.count; n++ {
		it, err := s.Next(ctx)
		switch {
		case errors.Is(err, io.EOF), ctx.Err() != nil && fault.KindOf(err) == fault.Canceled:
			return nil // the publisher's end, or ours
		case err != nil:
			return err
		}
		if it.Lost > 0 && f.policy != topic.Latest.String() {
			a.log.Warn("items were lost", "count", it.Lost, "before", it.Seq)
		}
		if err := a.printItem(it, f.raw); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) printItem(it topic.Item, raw bool) error {
	if a.json {
		v := subscribed{Subject: it.Subject, Seq: it.Seq, Epoch: it.Epoch, Time: it.When(), Lost: it.Lost}
		for key, value := range it.Headers.All() {
			if v.Headers == nil {
				v.Headers = map[string]string{}
			}
			v.Headers[key] = value
		}
		if text := string(it.Data); utf8.ValidString(text) {
			v.Text = &text
		} else {
			v.Data = it.Data
		}
		return a.printJSON(v)
	}
	data := it.Data
	if !raw && (len(data) == 0 || data[len(data)-1] != '\n') {
		data = append(data[:len(data):len(data)], '\n')
	}
	_, err := a.out.Write(data)
	return err
}
