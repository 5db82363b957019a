// SPDX-License-Identifier: Apache-2.0

// Package notify is notifications by name from any process to one that waits,
// each with a small payload, those that come too fast counted and merged
// (docs/formats/notify.md).
package notify
