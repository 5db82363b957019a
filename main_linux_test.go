// SPDX-License-Identifier: Apache-2.0

package parley_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/auth/ca"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/internal/stock"
	"github.com/parley-ipc/parley/policy"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/tls"
)

const (
	limit  = 20 * time.Second  // of what should take milliseconds
	tlsEnv = "PARLEY_TEST_TLS" // the directory of makeCertificates, for children
)

func TestMain(m *testing.M) {
	proctest.RunRole(map[string]proctest.Role{
		"server": roleServer, "stock": roleStock, "stdio": roleStdio, "stdio-stock": roleStdioStock,
		"dial": roleDial, "try": roleTry, "later": roleLater, "list": roleList, "activate": roleActivate, "flood": roleFlood,
	})
	goleak.VerifyTestMain(proctest.Isolated(m))
}

// listenConfig admits who beside the owner, but not "!who", under the test's
// certificates.
func listenConfig(who []string, log io.Writer) (*parley.ListenConfig, error) {
	lc := &parley.ListenConfig{TLS: certificate("server")}
	lc.Logger = slog.New(slog.NewTextHandler(log, nil))
	if len(who) == 0 {
		return lc, nil
	}
	var rules []policy.Rule
	for _, w := range who {
		name, deny := strings.CutPrefix(w, "!")
		rules = append(rules, policy.Rule{Who: []string{name}, May: []auth.Action{auth.Connect}, On: []string{"endpoint:**"}, Deny: deny})
	}
	p, err := policy.New(rules, policy.Options{})
	lc.Authorizer = p
	return lc, err
}

// certificate is one of the parties that makeCertificates made, if it has.
func certificate(name string) tls.Config {
	dir := os.Getenv(tlsEnv)
	if dir == "" {
		return tls.Config{}
	}
	return tls.Config{
		CertFile: filepath.Join(dir, name+".crt"), KeyFile: filepath.Join(dir, name+".key"),
		CAFile: filepath.Join(dir, ca.CertName),
	}
}

// buffer is a log that is read while it is written.
type buffer struct {
	mu   sync.Mutex
	text strings.Builder // guarded by mu
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// roleServer ADDRESS WHO… echoes for all who come. It says its address; to
// "peer" who came next, to "log" what was logged.
func roleServer(p *proctest.Self) error {
	var log buffer
	lc, err := listenConfig(p.Args[1:], &log)
	if err != nil {
		return err
	}
	ln, err := lc.Listen(context.Background(), p.Args[0])
	if err != nil {
		p.Sayf("%v|%v", fault.KindOf(err), err)
		return nil
	}
	peers := make(chan auth.Identity, 10000)
	var wg sync.WaitGroup
	wg.Go(func() { echoAll(ln, peers) })
	p.Say(ln.Address().String())
	for {
		line, err := p.Hear()
		switch {
		case errors.Is(err, io.EOF):
			err := ln.Close()
			wg.Wait()
			return err
		case line == "peer":
			id := <-peers
			p.Sayf("%v %s %d", id, id.Method, id.PID)
		case line == "log":
			p.Say(log.String())
		}
	}
}

// echoAll echoes on each connection until the listener ends.
func echoAll(ln transport.Listener, peers chan<- auth.Identity) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		c, err := ln.AcceptConn(context.Background())
		if err != nil {
			return
		}
		if peers != nil {
			peers <- c.Peer()
		}
		wg.Go(func() {
			defer func() { _ = c.Close() }()
			if _, err := io.Copy(c, c); err == nil {
				_ = c.CloseWrite()
			}
		})
	}
}

// roleStock ADDRESS USE WHO… serves one of stock's uses.
func roleStock(p *proctest.Self) error {
	lc, err := listenConfig(p.Args[2:], io.Discard)
	if err != nil {
		return err
	}
	use, err := stock.Find(p.Args[1])
	if err != nil {
		return err
	}
	ln, err := lc.Listen(context.Background(), p.Args[0])
	if err != nil {
		return err
	}
	stop := use.Serve(ln)
	p.Say(ln.Address().String())
	_, _ = p.Hear()
	stop()
	return nil
}

// roleStdio echoes on its stdin and stdout.
func roleStdio(*proctest.Self) error {
	ln, err := parley.Listen(context.Background(), "stdio:")
	if err != nil {
		return err
	}
	echoAll(ln, nil)
	return ln.Close()
}

// roleStdioStock USE serves its parent.
func roleStdioStock(p *proctest.Self) error {
	use, err := stock.Find(p.Args[0])
	if err != nil {
		return err
	}
	ln, err := parley.Listen(context.Background(), "stdio:")
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	stop := use.Serve(endNotice{ln, ended})
	<-ended
	stop()
	return nil
}

// endNotice tells when its listener accepts no more.
type endNotice struct {
	transport.Listener
	ended chan struct{}
}

func (e endNotice) Accept() (net.Conn, error) {
	c, err := e.Listener.Accept()
	if err != nil {
		close(e.ended)
	}
	return c, err
}

// roleDial ADDRESS says whom it reached, or why it did not. At a line from its
// parent it waits for the end of the connection.
func roleDial(p *proctest.Self) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	d := parley.Dialer{WaitFor: limit}
	c, err := d.Dial(ctx, p.Args[0])
	if err != nil {
		p.Sayf("%v|%v", fault.KindOf(err), err)
		return nil
	}
	defer func() { _ = c.Close() }()
	if err := echo(c, []byte("hello")); err != nil {
		p.Sayf("cut|%v", err)
		return nil
	}
	p.Sayf("ok %v %s %d", c.Peer(), c.Peer().Method, c.Peer().PID)
	if _, err := p.Hear(); err != nil {
		return nil
	}
	_, err = c.Read(make([]byte, 1))
	p.Sayf("ended with an error: %v", err != nil)
	return nil
}

// echo sends text and wants it back.
func echo(c transport.Conn, text []byte) error {
	if err := c.SetDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	if _, err := c.Write(text); err != nil {
		return err
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if string(got) != string(text) {
		return fmt.Errorf("%q came back", got)
	}
	return c.SetDeadline(time.Time{})
}

// roleTry ADDRESS says what comes of listening.
func roleTry(p *proctest.Self) error {
	ln, err := parley.Listen(context.Background(), p.Args[0])
	if err != nil {
		p.Sayf("%v|%v", fault.KindOf(err), err)
		return nil
	}
	p.Say("ok")
	return ln.Close()
}

// roleLater ADDRESS waits for a line before it listens, and serves one peer.
func roleLater(p *proctest.Self) error {
	p.Say("here")
	if _, err := p.Hear(); err != nil {
		return err
	}
	ln, err := parley.Listen(context.Background(), p.Args[0])
	if err != nil {
		return err
	}
	c, err := ln.AcceptConn(context.Background())
	if err != nil {
		return err
	}
	_, err = io.Copy(c, c)
	return errors.Join(err, c.Close(), ln.Close())
}

// roleList says at each line what the registry shows, and with "gc" what came
// of removing each entry.
func roleList(p *proctest.Self) error {
	for {
		line, err := p.Hear()
		if err != nil {
			return nil
		}
		infos, err := endpoint.List(context.Background(), endpoint.ListOptions{})
		if err != nil {
			return err
		}
		var said []string
		for _, i := range infos {
			state := "stale"
			if i.Live {
				state = "live"
			}
			said = append(said, fmt.Sprintf("%s %s %d", i.Address, state, i.UID))
			if line == "gc" {
				said = append(said, removed(i))
			}
		}
		p.Say(strings.Join(said, "; "))
	}
}

func removed(i endpoint.Info) string {
	if err := endpoint.Remove(context.Background(), i); err != nil {
		return fault.KindOf(err).Error()
	}
	return "removed"
}
