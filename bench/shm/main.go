// SPDX-License-Identifier: Apache-2.0

// Command shm measures what crosses shared memory beside what else could carry
// it: C that promises nothing, iceoryx, libzmq, sockets, pipes and NATS. Each
// subject has processes of its own; each round measures every subject, in an
// order that turns; figures are medians over rounds, ratios the medians of the
// rounds' own ratios.
//
//	awake          not pinned, one message after the other
//	sleeping       pinned to a processor each, with pauses: everybody sleeps
//	one processor  both pinned to the same
//	idle           not pinned, one message after seconds of nothing
package main

import (
	"context"
	"regexp"

	"github.com/parley-ipc/parley/bench/internal/natsd"
	"github.com/parley-ipc/parley/bench/internal/party"
	"github.com/parley-ipc/parley/bench/internal/suite"
)

// roles are those of our own processes, by subject.
var roles = map[string]party.Role{
	goFutex:                futexRole,
	netUnix:                socketRole,
	"Go os, pipes":         pipeRole,
	natsd.Name:             natsd.Serve,
	coreNATS:               natsRole,
	"Parley message, unix": messageRole("unix", false),
	parleyShm:              messageRole("shm", false),
	parleyMany:             messageRole("shm", true),
	parleyCast:             broadcastRole(false),
	castMany:               broadcastRole(true),
	topicName:              topicRole(false),
	topicMany:              topicRole(true),
	parleyLoan:             loanRole,
	parleyFrames:           frameRole,
}

func main() {
	party.Play(roles)
	suite.Suite{
		Name: "shm", Cells: cells, Targets: targets, About: about, Subjects: subjects,
		Drawn: []string{cell(party.Free, opTrip, 64).String(), cell(party.Free, opTrip, 1<<10).String(), cell(party.Free, opTrip, 64<<10).String(), sleeping.String(), cell(party.Together, opTrip, 64).String()},
		Begin: func(ctx context.Context, _ string, only *regexp.Regexp) (func(), error) {
			if !only.MatchString(iceoryx) {
				return func() {}, nil
			}
			return startRouDi(ctx), nil
		},
	}.Main()
}
