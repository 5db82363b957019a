// SPDX-License-Identifier: Apache-2.0

// Package busypoll looks for bytes on a socket again and again for a while,
// for as long as that pays, before its reader sleeps in the poller: two sides
// that are both awake then exchange messages in a few microseconds, where two
// that sleep wake each other up each time.
package busypoll
