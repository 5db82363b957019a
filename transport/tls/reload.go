// SPDX-License-Identifier: Apache-2.0

package tls

import (
	"crypto/tls"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-ipc/parley/internal/acceptor"
)

// recheck is how often, at most, handshakes look whether the files changed.
// They look themselves because a transport is too light for a file watcher.
const recheck = time.Second

// source gives each handshake the configuration of the day.
type source struct {
	cfg    Config        // immutable
	logger *slog.Logger  // immutable
	every  time.Duration // immutable

	current  atomic.Pointer[tls.Config]
	refusals acceptor.Limit

	mu      sync.Mutex // held by the one handshake that looks
	looked  time.Time  // guarded by mu, as are the rest
	seen    stamps
	failing string // why the last reload failed; empty if it did not
}

// stamps tell one content of the three files from the next without reading
// them; nil where there is no file.
type stamps [3]os.FileInfo

func newSource(cfg Config, logger *slog.Logger) (*source, error) {
	s := &source{cfg: cfg, logger: logger, every: recheck, seen: cfg.stamps(), looked: time.Now()}
	m, err := cfg.load()
	if err != nil {
		return nil, err
	}
	s.current.Store(cfg.server(m))
	return s, nil
}

// get returns the configuration for a handshake that starts now. Who finds
// somebody else looking goes on with the old one.
func (s *source) get() *tls.Config {
	if s.mu.TryLock() {
		if time.Since(s.looked) >= s.every {
			s.look()
			s.looked = time.Now()
		}
		s.mu.Unlock()
	}
	return s.current.Load()
}

// look loads the files if they changed, and again after a failure: one of the
// files may be written after the other. It is called with mu held.
func (s *source) look() {
	now := s.cfg.stamps() // before reading: a change while we read is seen next time
	changed := !same(now, s.seen)
	if !changed && s.failing == "" {
		return
	}
	s.seen = now
	m, err := s.cfg.load()
	if err != nil {
		if changed || s.failing != err.Error() {
			s.logger.Warn("certificates not reloaded, the old ones stay", "error", err)
		}
		s.failing = err.Error()
		return
	}
	s.failing = ""
	s.current.Store(s.cfg.server(m))
	s.logger.Info("certificates reloaded", "cert", s.cfg.CertFile, "ca", s.cfg.CAFile)
}

func (c Config) stamps() (all stamps) {
	for i, name := range []string{c.CertFile, c.KeyFile, c.CAFile} {
		if name == "" {
			continue
		}
		if info, err := os.Stat(name); err == nil {
			all[i] = info
		}
	}
	return all
}

func same(a, b stamps) bool {
	for i := range a {
		x, y := a[i], b[i]
		if (x == nil) != (y == nil) {
			return false
		}
		if x != nil && (!os.SameFile(x, y) || !x.ModTime().Equal(y.ModTime()) || x.Size() != y.Size()) {
			return false
		}
	}
	return true
}
