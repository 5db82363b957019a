// SPDX-License-Identifier: Apache-2.0

// Package topic is the contract of a broadcast: each item that is published
// reaches every subscriber.
//
// An engine hands out a Topic by its name. A slow subscriber meets the policy
// that it stated when it subscribed, and nothing is lost without a count:
//
//	Lossy     the publisher never waits; each item tells how many were lost before it
//	Latest    the publisher never waits; the subscriber gets the newest only
//	Reliable  the publisher waits, at most for the stated patience, then drops it by name
//
// docs/formats/topic.md describes the bytes; topic/topictest holds the suite
// that every engine passes.
package topic
