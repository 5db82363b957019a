// SPDX-License-Identifier: Apache-2.0

package topic

import "time"

// Message is what is published.
type Message struct {
	// Subject is tokens with dots between them, such as "prices.eur", or empty.
	// At most MaxSubject bytes, without wildcards; see CheckSubject.
	Subject string

	// Headers go with the data. Make them once and use them often.
	Headers Headers

	// Data is the payload.
	Data []byte
}

// Item is what a subscriber gets.
type Item struct {
	Subject string
	Headers Headers
	Data    []byte

	Seq   uint64 // one more than that of the item published before it, of whatever subject
	Epoch uint64 // another for each start of a publisher, whose Seq begins anew
	Time  int64  // of publication by the publisher's clock, nanoseconds since 1970

	// Lost is how many items, of whatever subject, were published since the one
	// before this, or since Subscribe, and not seen by us.
	Lost uint64
}

// When is Time as Go has it.
func (i Item) When() time.Time { return time.Unix(0, i.Time) }

// PublisherStats are a publisher's counters.
type PublisherStats struct {
	Published   uint64 // items
	Bytes       uint64 // of their headers and data
	Subscribers int    // attached now
	Attached    uint64 // ever
	Dropped     uint64 // Reliable ones for which it waited in vain, or that broke the rules
	Denied      uint64 // by policy
	Wakes       uint64 // sleepers woken
}

// SubscriptionStats are a subscription's counters.
type SubscriptionStats struct {
	Received   uint64 // items handed out
	Filtered   uint64 // items of other subjects
	Lost       uint64 // items published that were neither
	Publishers uint64 // how many it has been attached to, one after the other
	Attached   bool   // there is one now, as far as we know
}
