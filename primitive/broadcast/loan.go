// SPDX-License-Identifier: Apache-2.0

package broadcast

import (
	"context"
	"fmt"

	"github.com/parley-ipc/parley/fault"
)

// Loan lends n bytes of the ring, to write the next record in place; what
// stands in them is old. Until Commit or Abort nothing else can be published.
// It waits as Publish does.
func (p *Publisher) Loan(ctx context.Context, n int) ([]byte, error) {
	if err := p.fits(n); err != nil {
		return nil, err
	}
	size := recordSize(n)
	if err := p.begin(ctx, size); err != nil {
		return nil, err
	}
	defer p.finish()
	p.claim(size)
	p.lent = size
	i := p.tail&(p.ring-1) + headerSize
	return p.data[i : i+uint64(n) : i+uint64(n)], nil
}

// Commit publishes the first n bytes of the loan, which is over then.
func (p *Publisher) Commit(n int) error {
	p.mu.Lock()
	defer p.finish()
	size := recordSize(max(n, 0))
	switch {
	case p.lent == 0:
		return errNoLoan
	case n < 0 || size > p.lent:
		return fault.New(fault.Invalid, "commit", "", fmt.Errorf("%d bytes, more than were lent", n))
	}
	p.lent = 0
	if p.closed {
		return errClosed
	}
	p.put(p.tail, n, p.now())
	p.publish(p.tail, size)
	return nil
}

// Abort gives the loan back unpublished; without a loan it does nothing.
func (p *Publisher) Abort() {
	p.mu.Lock()
	p.lent = 0
	p.finish()
}
