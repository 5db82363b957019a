// SPDX-License-Identifier: Apache-2.0

// Package broadcast is a ring of records in shared memory, from one publisher
// to many subscribers who need not trust it, nor it them.
//
// The publisher's segment can be written by the publisher alone; each
// subscriber has a page of its own that the publisher only reads. How a
// subscriber that falls behind is treated is its Policy. There are no names
// and no sockets here: descriptors come and go, and sleepers wake, by the
// caller's means. docs/formats/broadcast.md has every byte.
package broadcast
