// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-ipc/parley/engine"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/topic"
)

// topicFlags are the flags of pub and sub.
type topicFlags struct{ at, topic string }

func (f *topicFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.at, "at", "", "the engine, such as mem://desk (default: $PARLEY_BROKER)")
	cmd.Flags().StringVar(&f.topic, "topic", "main", "the topic in it")
}

// open opens the engine that --at or the environment names, under the policy
// in force. The caller closes it.
func (f *topicFlags) open(ctx context.Context, a *app) (engine.Engine, func() error, error) {
	at := f.at
	if at == "" {
		at = os.Getenv("PARLEY_BROKER")
	}
	if at == "" {
		return nil, nil, usageError{errors.New("which engine? Say --at mem://NAME, or set PARLEY_BROKER")}
	}
	authorizer, done, err := a.policyInForce()
	if err != nil {
		return nil, nil, err
	}
	e, err := engine.Opener{Authorizer: authorizer, Logger: a.log}.Open(ctx, at)
	if err != nil {
		return nil, nil, errors.Join(err, done())
	}
	return e, func() error { return errors.Join(e.Close(), done()) }, nil
}

type pubFlags struct {
	topicFlags
	headers []string
	lines   bool
	wait    int
	maxData int
}

func pubVerb(a *app) *cobra.Command {
	var f pubFlags
	cmd := &cobra.Command{
		Use:   "pub SUBJECT [DATA|-]",
		Short: "Publish to a topic",
		Long: `Publishes DATA, or what comes on stdin, as one item on SUBJECT: tokens with dots
between them, or nothing (""). With --lines each line of stdin is an item, and
goes out as it comes.

In an engine in memory (mem://NAME) a topic has one publisher at a time, and
what it published goes with it, but for those who are subscribed by then. So it
first waits for --wait subscribers, as long as --timeout; --wait 0 does not.
Who may subscribe is for policy: may subscribe, on topic:NAME.`,
		Example: `  parley pub prices.eur 1.09 --at mem://desk
  tail -f log | parley pub log.web --lines --at mem://desk
  parley pub alarm fire --header floor=3 --wait 2`,
		Args: func(cmd *cobra.Command, args []string) error {
			return errors.Join(minArgs(1, "SUBJECT [DATA|-]")(cmd, args), maxArgs(2, "SUBJECT [DATA|-]")(cmd, args))
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.pub(cmd.Context(), &f, args) },
	}
	f.add(cmd)
	cmd.Flags().StringArrayVar(&f.headers, "header", nil, "KEY=VALUE to go with the data (repeatable)")
	cmd.Flags().BoolVar(&f.lines, "lines", false, "each line of stdin is an item")
	cmd.Flags().IntVar(&f.wait, "wait", 1, "how many subscribers to wait for")
	cmd.Flags().IntVar(&f.maxData, "max", 1<<20, "the largest item in bytes; four of them are kept")
	return cmd
}

// published is what pub prints with --json.
type published struct {
	Subject     string `json:"subject"`
	Items       uint64 `json:"items"`
	Bytes       uint64 `json:"bytes"`
	Subscribers int    `json:"subscribers"`
}

func (a *app) pub(ctx context.Context, f *pubFlags, args []string) error {
	m := topic.Message{Subject: args[0]}
	var err error
	if m.Headers, err = pubHeaders(f.headers); err != nil {
		return err
	}
	if err := topic.CheckSubject(m.Subject); err != nil {
		return err
	}
	if f.wait < 0 || f.maxData < 1 || f.maxData > topic.MaxData {
		return usageError{fmt.Errorf("--wait %d, --max %d: not below 0, and from 1 to %d bytes", f.wait, f.maxData, topic.MaxData)}
	}
	fromArgument := len(args) == 2 && args[1] != "-"
	if f.lines && fromArgument {
		return usageError{errors.New("--lines reads stdin, and DATA is on the command line")}
	}
	e, done, err := f.open(ctx, a)
	if err != nil {
		return err
	}
	p, err := e.Topic(f.topic).Publisher(ctx, topic.PublisherConfig{MaxData: f.maxData})
	if err != nil {
		return errors.Join(err, done())
	}
	if err = a.awaitSubscribers(ctx, p, f.wait); err == nil {
		if fromArgument {
			m.Data = []byte(args[1])
			err = p.Publish(ctx, m)
		} else {
			err = a.pubStdin(ctx, f, p, m)
		}
	}
	if errors.Is(err, fault.TooLarge) {
		err = f.tooLarge(err)
	}
	st := p.Stats()
	err = errors.Join(err, p.Close(), done())
	if err == nil && a.json {
		return a.printJSON(published{m.Subject, st.Published, st.Bytes, st.Subscribers})
	}
	return err
}

// tooLarge says what to do about it here.
func (f *pubFlags) tooLarge(err error) error {
	var e *fault.Error
	if f.maxData < topic.MaxData && errors.As(err, &e) {
		return e.WithHint(fmt.Sprintf("say --max BYTES, up to %d", topic.MaxData))
	}
	return err
}

func (f *pubFlags) errLarge(what string) error {
	return fault.New(fault.TooLarge, "read", "stdin", fmt.Errorf("%s has more than %d bytes", what, f.maxData))
}

func pubHeaders(flags []string) (topic.Headers, error) {
	var pairs []string
	for _, h := range flags {
		key, value, ok := strings.Cut(h, "=")
		if !ok || key == "" {
			return topic.Headers{}, usageError{fmt.Errorf("--header %q: write KEY=VALUE", h)}
		}
		pairs = append(pairs, key, value)
	}
	return topic.NewHeaders(pairs...)
}

func (a *app) awaitSubscribers(ctx context.Context, p topic.Publisher, n int) error {
	admin, ok := p.(topic.Admin)
	if !ok || n <= 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	err := admin.AwaitSubscribers(ctx, n)
	var e *fault.Error
	if errors.As(err, &e) {
		return e.WithHint("start `parley sub`, or say --wait 0")
	}
	return err
}

func (a *app) pubStdin(ctx context.Context, f *pubFlags, p topic.Publisher, m topic.Message) error {
	stop := context.AfterFunc(ctx, func() { _ = a.in.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	if !f.lines {
		data, err := io.ReadAll(io.LimitReader(a.in, int64(f.maxData)+1))
		if err != nil {
			return fault.Wrap("read", "stdin", err)
		}
		if len(data) > f.maxData {
			return f.errLarge("it")
		}
		m.Data = data
		return p.Publish(ctx, m)
	}
	lines := bufio.NewScanner(a.in)
	lines.Buffer(nil, f.maxData+2) // with its end
	for lines.Scan() {
		m.Data = lines.Bytes()
		if err := p.Publish(ctx, m); err != nil {
			return err
		}
	}
	switch {
	case ctx.Err() != nil:
		return nil // interrupted: its end
	case errors.Is(lines.Err(), bufio.ErrTooLong):
		return f.errLarge("a line")
	}
	return fault.Wrap("read", "stdin", lines.Err())
}
