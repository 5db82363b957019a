// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"errors"
	"fmt"
	"time"

	"github.com/parley-ipc/parley/fault"
)

// MaxData is the most that an item's headers and data can take, in bytes.
const MaxData = 64 << 20

// Policy says what happens to a subscriber that falls behind.
type Policy uint8

// The policies. They are numbered as on the wire.
const (
	Lossy    Policy = iota // items are overwritten; it learns exactly how many it lost
	Latest                 // it wants the newest only; the others count as lost
	Reliable               // the publisher waits for it, but no longer than its patience
)

// Policies returns all of them.
func Policies() []Policy { return []Policy{Lossy, Latest, Reliable} }

var policyNames = [...]string{Lossy: "lossy", Latest: "latest", Reliable: "reliable"}

// String returns the policy's name.
func (p Policy) String() string {
	if int(p) < len(policyNames) {
		return policyNames[p]
	}
	return fmt.Sprintf("policy %d", uint8(p))
}

// ParsePolicy reads a policy's name.
func ParsePolicy(s string) (Policy, error) {
	for p, name := range policyNames {
		if s == name {
			return Policy(p), nil
		}
	}
	return 0, fault.New(fault.Invalid, "policy", fmt.Sprintf("%q", s), errors.New("write lossy, latest or reliable"))
}

// DefaultPatience is how long a publisher waits for a Reliable subscriber that
// states nothing else, and at most if it states nothing else itself.
const DefaultPatience = time.Second

// PublisherConfig is what Topic.Publisher understands. The zero value works.
type PublisherConfig struct {
	// MaxData is the most that one item's headers and data may take, in bytes,
	// at most the constant of that name. Default 1 MiB. Memory for four of the
	// largest is reserved.
	MaxData int

	// Ring is how many bytes of published items are kept for those who are
	// behind or join later, a power of two. Default 4 MiB, or as much as MaxData
	// needs.
	Ring int

	// MaxPatience bounds the patience that Reliable subscribers may ask for:
	// each publication may wait so long. Default DefaultPatience; negative:
	// none may be Reliable.
	MaxPatience time.Duration

	// MaxSubscribers bounds those who are attached at once. Default 256.
	MaxSubscribers int

	// Dropped is told of each subscriber that was dropped, and why, from any
	// goroutine. It must not block. Default: it is logged by the engine.
	Dropped func(s Subscriber, why error)
}

// SubscribeConfig is what Topic.Subscribe understands. The zero value works.
type SubscribeConfig struct {
	// Subject filters: only items whose subject matches are handed out. See
	// Filter for the syntax. Default: all, those without a subject included.
	Subject string

	// Policy towards us. Default Lossy.
	Policy Policy

	// Patience is how long one publication may wait for us under Reliable
	// before we are dropped. Default DefaultPatience, or what the publisher
	// grants if that is less.
	Patience time.Duration

	// Last is how many of the items that are still kept, and match, come first.
	// Default none: what is published from now on. It concerns the publisher of
	// the moment: of one that comes later all that it keeps is handed out.
	Last int

	// Name is how the publisher's tables and logs call us. At most MaxName
	// bytes. Default: the program's name and process number.
	Name string

	// EndOnClose makes Next return io.EOF once a publisher has closed, and all
	// of it was read, instead of waiting for the next one.
	EndOnClose bool

	// MaxRing bounds the memory that a publisher can make us map, and be
	// charged for. Default 1 GiB, which is the most there can be.
	MaxRing int

	// Spin says how Next waits before it sleeps. Default SpinAuto.
	Spin Spin
}

// Spin says whether a side that waits may burn its processor before it sleeps.
type Spin uint8

// The values of Spin.
const (
	SpinAuto   Spin = iota // while it has lately paid, and the machine has room for it
	SpinOff                // never
	SpinAlways             // and never sleep: for processors of one's own
)

// MaxName is the longest name of a subscriber, in bytes.
const MaxName = 63

// Check returns fault.Invalid if c can mean nothing, for engines to call.
func (c SubscribeConfig) Check() error {
	if _, err := ParseFilter(c.Subject); err != nil {
		return err
	}
	var why error
	switch {
	case c.Policy > Reliable:
		why = errors.New(c.Policy.String())
	case c.Last < 0:
		why = fmt.Errorf("the last %d", c.Last)
	case len(c.Name) > MaxName:
		why = fmt.Errorf("a name of %d bytes, at most %d", len(c.Name), MaxName)
	case c.Patience < 0:
		why = fmt.Errorf("a patience of %v", c.Patience)
	case c.Spin > SpinAlways:
		why = fmt.Errorf("spin %d", c.Spin)
	default:
		return nil
	}
	return fault.New(fault.Invalid, "subscribe", "", why)
}

// WithDefaults fills in what is zero, for engines to call.
func (c PublisherConfig) WithDefaults() PublisherConfig {
	if c.MaxData == 0 {
		c.MaxData = 1 << 20
	}
	if c.MaxPatience == 0 {
		c.MaxPatience = DefaultPatience
	}
	if c.MaxSubscribers == 0 {
		c.MaxSubscribers = 256
	}
	return c
}

// ErrDropped is what Next returns, for ever, after a Reliable subscription was
// dropped and what was left has been read. It is fault.Timeout.
var ErrDropped = fault.New(fault.Timeout, "receive", "", errors.New("the publisher has dropped this subscription: it waited as long as it had granted")).
	WithHint("read faster, ask for more patience, or subscribe as lossy")

// CheckName returns fault.Invalid for what cannot be the name of a topic: it
// is made of letters, digits, '.', '_' and '-', does not begin with '.' or '-',
// and has at most 64 bytes.
func CheckName(name string) error {
	var why error
	switch {
	case name == "":
		why = errors.New("the name is empty")
	case len(name) > 64:
		why = fmt.Errorf("the name has %d bytes, at most 64", len(name))
	case name[0] == '.' || name[0] == '-':
		why = errors.New("start with a letter or a digit")
	}
	for i := range len(name) {
		if c := name[i]; why == nil && !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-') {
			why = errors.New("use letters, digits, '.', '_' and '-'")
		}
	}
	if why == nil {
		return nil
	}
	return fault.New(fault.Invalid, "topic", fmt.Sprintf("%q", name), why)
}
