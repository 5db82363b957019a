// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"encoding/json"
	"fmt"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/policy"
	"github.com/parley-ipc/parley/transport/shm"
	"github.com/parley-ipc/parley/transport/tls"
)

// Role is what a child is started for. It travels as JSON, as the child's
// only argument.
type Role struct {
	Address  string        `json:"address"`            // to listen on, or to dial
	Intruder bool          `json:"intruder,omitempty"` // dials, and expects to be refused
	Calls    bool          `json:"calls,omitempty"`    // serves calls: see Stage.Calls
	Stock    bool          `json:"stock,omitempty"`    // with Calls: by grpc-go
	Plugin   bool          `json:"plugin,omitempty"`   // a child of child.Start: see Stage.Plugin
	Topic    *TopicRole    `json:"topic,omitempty"`    // publishes or subscribes in the engine at Address
	Turn     *TurnRole     `json:"turn,omitempty"`     // waits for its turn
	Rules    []policy.Rule `json:"rules,omitempty"`    // for listening; none: the owner only
	Cert     string        `json:"cert,omitempty"`     // tls
	Key      string        `json:"key,omitempty"`
	CA       string        `json:"ca,omitempty"`
	Spin     shm.Spin      `json:"spin,omitempty"` // shm
}

// ParseRole reads what a Stage gave to its child.
func ParseRole(s string) (Role, error) {
	var r Role
	if err := json.Unmarshal([]byte(s), &r); err != nil {
		return r, fault.New(fault.Invalid, "role", "", err)
	}
	return r, nil
}

func (r Role) argument() (string, error) {
	b, err := json.Marshal(r)
	return string(b), err
}

func (r Role) tls() tls.Config {
	return tls.Config{CertFile: r.Cert, KeyFile: r.Key, CAFile: r.CA}
}

// Event is one line from a child.
type Event struct {
	What    What   `json:"what"`
	Address string `json:"address,omitempty"` // Listening: what to dial
	Who     string `json:"who,omitempty"`     // Denied: whom policy refused
	Method  string `json:"method,omitempty"`  // Denied: how it is known

	Refusal Refusal     `json:"refusal,omitzero"` // Tried
	Died    bool        `json:"died,omitempty"`   // HasTurn: who had it before has died
	Topic   TopicReport `json:"topic,omitzero"`   // Published, Received
}

// What is a kind of event.
type What string

// The events.
const (
	Listening What = "listening" // the listener is there
	Denied    What = "denied"    // policy refused a peer
	Tried     What = "tried"     // an intruder has its answer
	Published What = "published" // a publisher has done what it should
	HasTurn   What = "turn"      // it is the child's turn
	Received  What = "received"  // a subscriber has read to the end
)

func (e Event) String() string { return fmt.Sprintf("%s %s%s", e.What, e.Address, e.Who) }
