// SPDX-License-Identifier: Apache-2.0

// Package shared is the engine in shared memory, without a daemon: its topics
// are broadcast rings that their publishers own.
//
// An engine is only a name: mem://desk is whatever processes of one user have
// opened under it. A topic lives as long as its publisher, which listens on a
// unix socket in the runtime directory; there a subscriber is identified, asked
// of policy, and given the publisher's sealed memory in exchange for a small
// page of its own. From then on the socket carries only wake-ups and the news
// of a death. docs/formats/topic.md has every byte. Linux only.
package shared
