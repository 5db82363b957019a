// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package sysv

import (
	"context"
	"errors"

	"github.com/parley-ipc/parley/fault"
)

func unsupported(op string) error {
	return fault.New(fault.Unsupported, op, "", errors.New("System V objects are reached on Linux only"))
}

func list(kind Kind) ([]Info, error) { return nil, unsupported("list " + string(kind)) }

// Get answers fault.Unsupported.
func Get(Kind, int) (Info, error) { return Info{}, unsupported("find System V object") }

// Find answers fault.Unsupported.
func Find(Kind, int32) (Info, error) { return Info{}, unsupported("find System V object") }

// Remove answers fault.Unsupported.
func Remove(Kind, int) error { return unsupported("remove System V object") }

// Send answers fault.Unsupported.
func (q Queue) Send(context.Context, int, []byte) error { return unsupported("send to queue") }

// Receive answers fault.Unsupported.
func (q Queue) Receive(context.Context, int) (Message, error) {
	return Message{}, unsupported("receive from queue")
}

// Limit answers fault.Unsupported.
func (q Queue) Limit() (uint64, error) { return 0, unsupported("inspect queue") }

// Values answers fault.Unsupported.
func Values(int) ([]int, error) { return nil, unsupported("read semaphores") }

// Read answers fault.Unsupported.
func Read(int, []byte, int64) (int, error) { return 0, unsupported("read memory") }
