// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/parley-ipc/parley/bench/internal/party"
)

// duplex is what round trips and flows need of a pair of processes.
type duplex interface {
	send(size int) error        // one message
	sendMany(size, n int) error // n of them, as fast as the subject can
	receive() (size int, err error)
}

// drainer is a duplex that takes messages faster many at a time.
type drainer interface {
	drain(size, n int) error // receives n messages of a size
}

// duplexRunner runs trips and flows over d, once it is connected.
func duplexRunner(s party.Side, connect func() (duplex, error)) party.Runner {
	var d duplex
	return func(c party.Command) (party.Figures, error) {
		if d == nil {
			var err error
			if d, err = connect(); err != nil {
				return nil, err
			}
		}
		if s.Left {
			return lead(d, c)
		}
		return nil, follow(d, c)
	}
}

func lead(d duplex, c party.Command) (party.Figures, error) {
	if c.Op == opFlow || c.Op == opPublish {
		return party.Flow(c, func() error {
			if err := d.sendMany(c.Size, c.Count); err != nil {
				return err
			}
			return want(d, 1)
		})
	}
	return party.Trips(c, func() error {
		if err := d.send(c.Size); err != nil {
			return err
		}
		return want(d, c.Size)
	})
}

func follow(d duplex, c party.Command) error {
	if many, ok := d.(drainer); ok && c.Op != opTrip {
		if err := many.drain(c.Size, c.Count); err != nil {
			return err
		}
		return d.send(1)
	}
	for range c.Count {
		if err := want(d, c.Size); err != nil {
			return err
		}
		if c.Op == opTrip {
			if err := d.send(c.Size); err != nil {
				return err
			}
		}
	}
	if c.Op == opTrip {
		return nil
	}
	return d.send(1)
}

// want receives a message of a size.
func want(d duplex, size int) error {
	got, err := d.receive()
	if err == nil && got != size {
		err = fmt.Errorf("a message of %d bytes, want %d", got, size)
	}
	return err
}
