// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"io"

	"github.com/parley-ipc/parley/internal/measure"
	"github.com/parley-ipc/parley/internal/peer"
)

// Config says how to run. Program is required.
type Config struct {
	Program  []string                      // how to start this program as a peer
	Stderr   io.Writer                     // of the peers; default: discarded
	Progress func(mechanism, check string) // called before each check; may be nil
	Only     func(mechanism string) bool   // nil: all
}

// section is a table, or several one below the other, of mechanisms that are
// checked alike.
type section struct {
	name   string
	tables []table
	rows   []mechanism
}

// mechanism is a row. play tells the result of each check of its section, in
// any order.
type mechanism struct {
	name string
	play func(ctx context.Context, stage *peer.Stage, tell func(check string, f finding, err error))
}

// Run plays everything. Its error is about the run itself, such as a context
// that ended; what a check found is in the report.
func Run(ctx context.Context, cfg Config) (rep Report, err error) {
	stage, err := peer.NewStage(cfg.Program)
	if err != nil {
		return rep, err
	}
	stage.Stderr = cfg.Stderr
	defer func() { err = errors.Join(err, stage.Close()) }()
	rep.Machine = measure.Machine()
	for _, s := range sections() {
		for _, m := range s.rows {
			if cfg.Only != nil && !cfg.Only(m.name) {
				continue
			}
			s.play(ctx, m, stage, cfg.Progress, &rep)
			if ctx.Err() != nil {
				return rep, context.Cause(ctx)
			}
		}
	}
	return rep, nil
}

// play runs one mechanism. A column that it told nothing of has failed.
func (s section) play(ctx context.Context, m mechanism, stage *peer.Stage, progress func(string, string), rep *Report) {
	told := map[string]bool{}
	tell := func(check string, f finding, err error) {
		told[check] = true
		rep.add(result(s.name, m.name, check, f, err))
	}
	if progress != nil {
		progress(m.name, s.name)
	}
	m.play(ctx, stage, tell)
	for _, c := range s.columns() {
		if !told[c.check] {
			rep.add(result(s.name, m.name, c.check, finding{}, errors.New("it was not checked")))
		}
	}
}

func (s section) columns() []column {
	var all []column
	for _, t := range s.tables {
		all = append(all, t...)
	}
	return all
}

// Mechanisms are the names of all rows.
func Mechanisms() []string {
	var names []string
	for _, s := range sections() {
		for _, m := range s.rows {
			names = append(names, m.name)
		}
	}
	return names
}
