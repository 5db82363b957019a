// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"context"
	"errors"
	"fmt"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/topic"
)

// loan implements topic.Loan: it has the publisher's turn until it is over.
type loan struct {
	p     *publisher
	head  int // bytes of the record before the data
	extra int // of them headers
	data  []byte
	over  bool
}

// Loan implements topic.Publisher.
func (p *publisher) Loan(ctx context.Context, m topic.Message, n int) (topic.Loan, error) {
	if len(m.Data) > 0 || n < 0 {
		return nil, fault.New(fault.Invalid, "lend", p.addr, errors.New("the data is what is lent: give its size, and none yet"))
	}
	if err := p.enter(ctx); err != nil {
		return nil, err
	}
	l, err := p.lend(ctx, m, n)
	if err != nil {
		p.leave()
		return nil, p.named(err)
	}
	return l, nil
}

func (p *publisher) lend(ctx context.Context, m topic.Message, n int) (*loan, error) {
	p.enc.arena = p.enc.arena[:0]
	head, err := p.enc.headOf(m.Subject, m.Headers)
	if err != nil {
		return nil, err
	}
	extra := len(m.Headers.Bytes())
	if n+extra > p.cfg.MaxData {
		return nil, tooLarge(n+extra, p.cfg.MaxData)
	}
	b, err := p.ring.Loan(ctx, len(head)+n)
	if err != nil {
		return nil, err
	}
	return &loan{p: p, head: copy(b, head), extra: extra, data: b[len(head):]}, nil
}

// Bytes implements topic.Loan.
func (l *loan) Bytes() []byte { return l.data }

// Publish implements topic.Loan.
func (l *loan) Publish(n int) error {
	switch {
	case l.over:
		return fault.New(fault.Invalid, "publish", l.p.addr, errors.New("the loan is over"))
	case n < 0 || n > len(l.data):
		return fault.New(fault.Invalid, "publish", l.p.addr, fmt.Errorf("%d bytes, and %d were lent", n, len(l.data)))
	}
	l.over = true
	defer l.p.leave()
	err := l.p.ring.Commit(l.head + n)
	if err == nil {
		l.p.tally(1, n+l.extra)
	}
	return l.p.named(err)
}

// Abort implements topic.Loan.
func (l *loan) Abort() {
	if !l.over {
		l.over = true
		l.p.ring.Abort()
		l.p.leave()
	}
}
