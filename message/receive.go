// SPDX-License-Identifier: Apache-2.0

package message

import "context"

// Receive waits for the next message. The caller owns it and calls Release
// when done with it. Receive returns io.EOF after the peer's goodbye, an
// error of the goodbye's kind if that gives a reason, and one that is
// io.ErrUnexpectedEOF and fault.PeerDied if the connection was cut. If ctx
// ends in the middle of a message nothing is lost: the next Receive goes on
// where this one stopped. Nor is anything lost if Config.Quota has no room
// for the shared memory that comes next, which is fault.Exhausted: close some
// and receive again. Any other error is final.
func (c *Conn) Receive(ctx context.Context) (*Message, error) {
	if m := c.r.quick(ctx); m != nil {
		return m, nil
	}
	if ended(ctx) || !c.r.acquire(ctx, c.closed) {
		return nil, c.gaveUp(ctx, "receive")
	}
	if !c.w.greeted.Load() && !c.w.greeted.Swap(true) {
		c.greet()
	}
	if c.r.inPlace {
		if m := c.r.nextLent(ctx); m != nil {
			return m, nil // and the lock is its own
		}
	}
	m, err := c.r.next(ctx)
	c.r.release()
	return m, err
}
