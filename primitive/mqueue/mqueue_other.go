// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package mqueue

import (
	"context"
	"errors"

	"github.com/parley-ipc/parley/fault"
)

// Queue needs Linux; elsewhere none can be opened.
type Queue struct{ _ int }

// Notification needs Linux.
type Notification struct{ _ int }

func unsupported(op, name string) error {
	return fault.New(fault.Unsupported, op, name, errors.New("POSIX message queues without cgo need Linux"))
}

// Open answers fault.Unsupported.
func Open(name string, _ Config) (*Queue, error) { return nil, unsupported("open queue", name) }

// Name returns nothing.
func (q *Queue) Name() string { return "" }

// MessageSize returns 0.
func (q *Queue) MessageSize() int { return 0 }

// Send answers fault.Unsupported.
func (q *Queue) Send(context.Context, []byte, uint32) error { return unsupported("send to queue", "") }

// Receive answers fault.Unsupported.
func (q *Queue) Receive(context.Context, []byte) (int, uint32, error) {
	return 0, 0, unsupported("receive from queue", "")
}

// Next answers fault.Unsupported.
func (q *Queue) Next(context.Context) (Message, error) {
	return Message{}, unsupported("receive from queue", "")
}

// Attributes answers fault.Unsupported.
func (q *Queue) Attributes() (Attributes, error) {
	return Attributes{}, unsupported("inspect queue", "")
}

// Notify answers fault.Unsupported.
func (q *Queue) Notify() (*Notification, error) { return nil, unsupported("notify of queue", "") }

// Close does nothing.
func (q *Queue) Close() error { return nil }

// Wait answers fault.Unsupported.
func (n *Notification) Wait(context.Context) error { return unsupported("wait for queue", "") }

// Close does nothing.
func (n *Notification) Close() error { return nil }

func list() ([]Info, error) { return nil, unsupported("list queues", "") }

func unlink(base string) error { return unsupported("unlink queue", "/"+base) }
