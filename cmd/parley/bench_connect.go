// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/measure"
	"github.com/parley-ipc/parley/internal/peer"
	"github.com/parley-ipc/parley/transport"
)

// benchMode is a table of bench connect.
type benchMode string

const (
	benchAwake benchMode = "round trip, awake"
	benchSlept benchMode = "round trip, after both slept"
	benchFlow  benchMode = "one way"
)

var benchModes = []benchMode{benchAwake, benchSlept, benchFlow}

// benchPause is how long both sides rest before a message: longer than anybody
// spins.
const benchPause = 10 * time.Millisecond

// subject is one transport under measurement.
type subject struct {
	scheme endpoint.Scheme
	peer   *peer.Peer
	conn   transport.Conn // for one cell
	client *measure.Client

	rounds []benchRound // of one cell
	all    *measure.Latency
}

// benchRound is what one round found, per message.
type benchRound struct {
	time float64 // ns: the median round trip, or the time of a message one way
	p99  float64
	cpu  float64 // ns, both sides
}

// bench measures and reports. Schemes that a person named have to work.
func (a *app) bench(ctx context.Context, o benchOptions, named bool) (err error) {
	options, err := (&connectFlags{spin: o.spin}).shm()
	if err != nil {
		return err
	}
	program, err := asPeer()
	if err != nil {
		return err
	}
	stage, err := peer.NewStage(program)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stage.Close()) }()
	stage.Stderr, stage.Spin = a.err, options.Spin
	subjects, err := a.subjects(ctx, stage, o.schemes, named)
	defer func() {
		for _, s := range subjects {
			_ = s.peer.Close()
		}
	}()
	if err != nil {
		return err
	}
	report := benchReport{Machine: measure.Machine(), Spin: o.spin, Rounds: o.rounds}
	progress := a.progress()
	for _, mode := range benchModes {
		for _, size := range o.sizes {
			if progress != nil {
				progress(fmt.Sprintf("%d bytes", size), string(mode))
			}
			rows, err := benchCells(ctx, subjects, mode, size, o)
			if err != nil {
				a.endProgress()
				return err
			}
			report.Rows = append(report.Rows, rows...)
		}
	}
	a.endProgress()
	return a.reportBench(report, o.plot)
}

func (a *app) subjects(ctx context.Context, stage *peer.Stage, schemes []endpoint.Scheme, named bool) ([]*subject, error) {
	var subjects []*subject
	for _, scheme := range schemes {
		p, err := stage.Start(ctx, scheme, nil)
		if fault.KindOf(err) == fault.Unsupported && !named {
			a.log.Warn("left out", "scheme", string(scheme), "why", err)
			continue
		}
		if err != nil {
			return subjects, fmt.Errorf("%s: %w", scheme, err)
		}
		subjects = append(subjects, &subject{scheme: scheme, peer: p})
	}
	return subjects, nil
}

// benchCells measures all subjects in one mode at one size, in rounds.
func benchCells(ctx context.Context, subjects []*subject, mode benchMode, size int, o benchOptions) ([]benchRow, error) {
	defer func() {
		for _, s := range subjects {
			s.disconnect()
		}
	}()
	slice := max(o.duration/time.Duration(o.rounds), 1)
	for _, s := range subjects {
		if err := s.connect(ctx, size, slice/4); err != nil {
			return nil, fmt.Errorf("%s: %w", s.scheme, err)
		}
	}
	for round := range o.rounds {
		for i := range subjects {
			s := subjects[(i+round)%len(subjects)]
			if err := s.round(ctx, mode, size, slice); err != nil {
				return nil, fmt.Errorf("%s, %s, %d bytes: %w", s.scheme, mode, size, err)
			}
		}
	}
	return benchRows(subjects, mode, size), nil
}

// connect makes a new connection, and warms it.
func (s *subject) connect(ctx context.Context, size int, warm time.Duration) error {
	s.rounds, s.all = nil, nil
	conn, err := s.peer.Dial(ctx)
	if err != nil {
		return err
	}
	s.conn = conn
	if s.client, err = peer.Measure(conn); err != nil {
		return err
	}
	_, err = s.client.RoundTrips(ctx, measure.Trips{Size: size, For: warm})
	return err
}

func (s *subject) disconnect() {
	if s.conn != nil {
		_ = s.conn.Close()
		s.conn = nil
	}
}

func (s *subject) round(ctx context.Context, mode benchMode, size int, d time.Duration) error {
	if mode == benchFlow {
		f, err := s.client.Flow(ctx, size, d)
		s.rounds = append(s.rounds, benchRound{time: float64(f.Elapsed) / float64(max(1, f.Messages)), cpu: float64(f.CPUPerMessage())})
		return err
	}
	trips := measure.Trips{Size: size, For: d}
	if mode == benchSlept {
		trips.Pause = benchPause
	}
	lat, err := s.client.RoundTrips(ctx, trips)
	if err != nil {
		return err
	}
	s.rounds = append(s.rounds, benchRound{float64(lat.Quantile(0.50)), float64(lat.Quantile(0.99)), float64(lat.CPUPerTrip())})
	if s.all == nil {
		s.all = &lat
	} else {
		s.all.Add(lat)
	}
	return nil
}
