// SPDX-License-Identifier: Apache-2.0

package child

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/parley-ipc/parley/fault"
)

// The handshake is a line each way, so that a child in any language can take
// part; docs/formats/child.md is the norm.
//
//	parent: parley-child 1 protocols=3,2 shm=yes
//	child:  parley-child 1 protocol=2 shm=no
//	    or: parley-child 1 error="no protocol in common"
const (
	// Version is the version of the handshake.
	Version = 1
	// EnvFD is the variable that tells the child which descriptor it inherits:
	// "FD,INODE" and, with Survive, ",NAME".
	EnvFD = "PARLEY_CHILD"

	magic        = "parley-child"
	maxLine      = 512
	maxProtocols = 32
)

// offer is the parent's line.
type offer struct {
	protocols []uint32
	shm       bool
}

func (o offer) String() string {
	var ps []string
	for _, p := range o.protocols {
		ps = append(ps, strconv.FormatUint(uint64(p), 10))
	}
	return fmt.Sprintf("%s %d protocols=%s shm=%s\n", magic, Version, strings.Join(ps, ","), yes(o.shm))
}

// answer is the child's line.
type answer struct {
	protocol uint32
	shm      bool
	refusal  string // why nothing comes of it, if so
}

func (a answer) String() string {
	if a.refusal != "" {
		return fmt.Sprintf("%s %d error=%s\n", magic, Version, strconv.Quote(a.refusal))
	}
	return fmt.Sprintf("%s %d protocol=%d shm=%s\n", magic, Version, a.protocol, yes(a.shm))
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// parseOffer reads the parent's line, without its end. Fields that it does not
// know are for later versions.
func parseOffer(line string) (offer, error) {
	fields, err := parseLine(line)
	if err != nil {
		return offer{}, err
	}
	o := offer{shm: fields["shm"] == "yes"}
	for _, p := range strings.Split(fields["protocols"], ",") {
		n, err := strconv.ParseUint(p, 10, 32)
		if err != nil || len(o.protocols) == maxProtocols {
			return offer{}, broken("protocols=%q is no list of at most %d numbers", fields["protocols"], maxProtocols)
		}
		o.protocols = append(o.protocols, uint32(n))
	}
	return o, nil
}

func parseAnswer(line string) (answer, error) {
	fields, err := parseLine(line)
	if err != nil {
		return answer{}, err
	}
	if why, ok := fields["error"]; ok {
		text, err := strconv.Unquote(why)
		if err != nil || text == "" {
			text = "it gave no reason"
		}
		return answer{refusal: text}, nil
	}
	n, err := strconv.ParseUint(fields["protocol"], 10, 32)
	if err != nil {
		return answer{}, broken("protocol=%q is no number", fields["protocol"])
	}
	return answer{protocol: uint32(n), shm: fields["shm"] == "yes"}, nil
}

// parseLine splits a line into its fields. A quoted value, which may hold
// spaces, comes last.
func parseLine(line string) (map[string]string, error) {
	rest, ok := strings.CutPrefix(line, magic+" ")
	if !ok {
		return nil, broken("%.40q does not begin with %q", line, magic)
	}
	version, rest, _ := strings.Cut(rest, " ")
	if version != strconv.Itoa(Version) {
		return nil, fault.New(fault.Protocol, "handshake", "", fmt.Errorf("the other side speaks version %.10q of it, we speak %d", version, Version)).
			WithHint("build both sides with the same version of Parley")
	}
	fields := map[string]string{}
	for rest != "" {
		name, value, ok := strings.Cut(rest, "=")
		if !ok {
			return nil, broken("%.40q is no name=value", rest)
		}
		if strings.HasPrefix(value, `"`) {
			fields[name] = value
			break
		}
		value, rest, _ = strings.Cut(value, " ")
		fields[name] = value
	}
	return fields, nil
}

func broken(format string, args ...any) error {
	return fault.New(fault.Protocol, "handshake", "", fmt.Errorf(format, args...))
}

// agree answers an offer: the first of the parent's protocols that we speak.
func agree(o offer, ours []uint32, shm bool) answer {
	for _, p := range o.protocols {
		if slices.Contains(ours, p) {
			return answer{protocol: p, shm: shm && o.shm}
		}
	}
	return answer{refusal: fmt.Sprintf("no protocol in common: the parent speaks %v, the child %v", o.protocols, ours)}
}

// check judges an answer to our offer.
func (o offer) check(a answer) error {
	switch {
	case a.refusal != "":
		return fault.New(fault.Protocol, "handshake", "", fmt.Errorf("the child refused: %s", a.refusal))
	case !slices.Contains(o.protocols, a.protocol):
		return broken("the child chose protocol %d, which we did not offer", a.protocol)
	case a.shm && !o.shm:
		return fault.New(fault.Protocol, "handshake", "", errors.New("the child chose shared memory, which we did not offer"))
	}
	return nil
}
