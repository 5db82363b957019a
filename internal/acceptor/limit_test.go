// SPDX-License-Identifier: Apache-2.0

package acceptor

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/transport"
)

// Who fails again and again fills neither the log nor the disk that it is on.
func TestFailuresDoNotFloodTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, Config{Handshake: func(context.Context, net.Conn, func(auth.Identity) error) (transport.Conn, error) {
			return nil, errors.New("rubbish")
		}})
		fail := func(times int) {
			for range times {
				c := f.connect()
				_, _ = io.ReadAll(c)
				_ = c.Close()
			}
		}
		fail(linesAMinute + 40)
		synctest.Wait()
		if n := strings.Count(f.log.String(), "rubbish"); n != linesAMinute {
			t.Errorf("%d lines, want %d", n, linesAMinute)
		}
		if n := f.counters.Failed.Load(); n != linesAMinute+40 {
			t.Errorf("Failed = %d", n)
		}
		<-time.After(time.Minute) // of the bubble
		fail(1)
		synctest.Wait()
		if !strings.Contains(f.log.String(), "unlogged=40") {
			t.Error("nothing tells of the lines that were kept back")
		}
	})
}
