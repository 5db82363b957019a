// SPDX-License-Identifier: Apache-2.0

// Command rpc measures calls between two processes: grpc-go, drpc, ttrpc,
// connect, net/rpc and NATS beside Parley's rpc, with the same protobuf
// messages (but for net/rpc, which has gob), the same handler, a deadline on
// each call, and a header where the peer has such. Each peer has processes of
// its own; each round measures every peer, in an order that turns; figures are
// medians over rounds, ratios the medians of the rounds' own ratios.
//
//	awake          not pinned, one call after the other
//	sleeping       pinned to a processor each, with pauses: everybody sleeps
//	one processor  both pinned to the same
package main

import (
	"context"
	"regexp"

	"github.com/parley-ipc/parley/bench/internal/natsd"
	"github.com/parley-ipc/parley/bench/internal/party"
	"github.com/parley-ipc/parley/bench/internal/suite"
)

func main() {
	roles := map[string]party.Role{natsd.Name: natsd.Serve}
	for _, p := range peers {
		roles[p.name] = p.role
	}
	party.Play(roles)
	suite.Suite{
		Name: "rpc", Cells: cells, Targets: targets, About: about, Subjects: subjects,
		Drawn: []string{unary.String(), cell(party.Free, opUnary, 64<<10).String(), many.String(), stream.String(), sleeping.String()},
	}.Main()
}

// subjects makes the list for one placement.
func subjects(_ context.Context, dir string, _ party.Placement, only *regexp.Regexp) ([]party.Subject, error) {
	if err := makeCertificate(dir); err != nil {
		return nil, err
	}
	var list []party.Subject
	for _, p := range peers {
		if !only.MatchString(p.name) {
			continue
		}
		s := party.Subject{Name: p.name, Specs: party.Pair(p.name, dir, 1)}
		s.Can = func(c party.Command, _ party.Placement) bool { return !p.noStreams || c.Op != opStream }
		if p.nats {
			s = natsd.Beside(s, dir)
		}
		list = append(list, s)
	}
	return list, nil
}
