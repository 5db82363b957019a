// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"context"

	"github.com/parley-ipc/parley/auth"
)

// Topic is one named broadcast. It costs nothing until it is used, and its
// methods may be called from many goroutines.
type Topic interface {
	// Name is what the engine knows it by.
	Name() string

	// Publisher makes us its publisher. Where Capabilities has no
	// ManyPublishers there is one at a time, and while another lives the error
	// is fault.InUse and says who. Policy is asked for auth.Publish on
	// "topic:NAME".
	Publisher(ctx context.Context, cfg PublisherConfig) (Publisher, error)

	// Subscribe starts to receive. A topic that nobody publishes yet is no
	// error: Next waits for a publisher, and finds each that comes after it.
	// Whom policy does not admit for auth.Subscribe on "topic:NAME" gets
	// fault.Denied, from Subscribe or, if the publisher came later, from Next.
	Subscribe(ctx context.Context, cfg SubscribeConfig) (Subscription, error)
}

// Publisher is the writing side. Its methods may be called from many
// goroutines; a loan keeps the others waiting until it is over.
type Publisher interface {
	// Publish gives m to everybody. It waits only for Reliable subscribers,
	// each no longer than its patience, and not past ctx, whose end leaves m
	// unpublished. What m refers to is the caller's again when it returns.
	Publish(ctx context.Context, m Message) error

	// PublishBatch is Publish for many at far less cost for each. It returns
	// how many were published, which is less than all only with an error.
	PublishBatch(ctx context.Context, ms []Message) (int, error)

	// Loan lends n bytes in which the data of the next item is written in
	// place; m has its subject and headers, and no data.
	Loan(ctx context.Context, m Message, n int) (Loan, error)

	// Stats are the counters since the publisher began.
	Stats() PublisherStats

	// Close ends publishing. What has been published can still be read by
	// those who have subscribed. It is idempotent.
	Close() error
}

// Loan is memory lent for one item. It belongs to one goroutine.
type Loan interface {
	// Bytes is what is lent; what stands in it is old.
	Bytes() []byte

	// Publish gives out the first n bytes, and ends the loan.
	Publish(n int) error

	// Abort ends the loan unpublished; after Publish it does nothing.
	Abort()
}

// Subscription is the reading side. It belongs to one goroutine at a time,
// but for Stats and Close, which any may call.
type Subscription interface {
	// Next waits for the next item. Its data is ours until the next call. A
	// publisher that ends is waited for, unless the configuration says EndOnClose.
	Next(ctx context.Context) (Item, error)

	// NextBatch is Next for many: it waits until there is one, then fills items
	// with what is at hand, and returns how many. Their data is ours until the
	// next call. Only the first can have Lost or a new Epoch.
	NextBatch(ctx context.Context, items []Item) (int, error)

	// Borrow is Next without the copy, for large items of a publisher that is
	// trusted: the data lies in shared memory, read-only, and can be overwritten
	// while it is read; nothing else can be read before Release. An engine
	// without borrowing returns a copy.
	Borrow(ctx context.Context) (Item, error)

	// Release gives back what was borrowed and reports whether it was whole all
	// the time: always under Reliable. If not, what was read of it means
	// nothing, and it counts as lost.
	Release() (whole bool)

	// Stats are the counters since Subscribe.
	Stats() SubscriptionStats

	// Close ends the subscription, and a Next that waits. It is idempotent.
	Close() error
}

// Admin is a Publisher that can tell of its subscribers.
type Admin interface {
	Publisher

	// Subscribers are those who are attached.
	Subscribers() []Subscriber

	// AwaitSubscribers waits until at least n are attached.
	AwaitSubscribers(ctx context.Context, n int) error

	// Drop lets the subscriber of that number go.
	Drop(id uint64) error
}

// Subscriber is what a publisher knows of one subscriber.
type Subscriber struct {
	ID     uint64        // of this publisher's, in the order of their coming
	Name   string        // what it calls itself
	Who    auth.Identity // what the kernel says
	Policy Policy
	Lag    int // bytes that it says it has yet to read; nothing is decided by it
}

// Capabilities say what an engine's topics can do beyond the contract's core.
type Capabilities struct {
	Borrow         bool // Borrow does not copy (but under Latest with a Subject), and Loan is written where subscribers read
	ManyPublishers bool // several publishers at a time
	Durable        bool // what was published outlives its publisher
	Admin          bool // publishers are Admin
}
