// SPDX-License-Identifier: Apache-2.0

package exec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// EnvFD is the environment variable by which a parent offers a socketpair.
const EnvFD = "PARLEY_FD"

// ProtocolVersion is the version of the take-over (docs/formats/exec.md).
const ProtocolVersion = 1

// nonce tells one offer from every other.
type nonce [8]byte

// offer is the value of PARLEY_FD: "FD:VERSION:SOCKET:STDIN:STDOUT:NONCE". The
// three inode numbers bind it: it is meant only for a process whose stdin and
// stdout are the pipes of the same connection, not for one further down a
// pipeline, nor for one that inherited the variable without the descriptor.
type offer struct {
	fd                    int
	version               int
	socket, stdin, stdout uint64 // inode numbers
	nonce                 nonce
}

func (o offer) String() string {
	return fmt.Sprintf("%d:%d:%d:%d:%d:%016x", o.fd, o.version, o.socket, o.stdin, o.stdout, binary.BigEndian.Uint64(o.nonce[:]))
}

var errOffer = errors.New("PARLEY_FD is malformed")

func parseOffer(s string) (offer, error) {
	f := strings.Split(s, ":")
	if len(f) != 6 || len(f[5]) != 16 {
		return offer{}, errOffer
	}
	var o offer
	var n [5]uint64
	for i := range n {
		bits := 64
		if i < 2 {
			bits = 31
		}
		v, err := strconv.ParseUint(f[i], 10, bits)
		if err != nil {
			return offer{}, errOffer
		}
		n[i] = v
	}
	key, err := strconv.ParseUint(f[5], 16, 64)
	if err != nil {
		return offer{}, errOffer
	}
	o.fd, o.version, o.socket, o.stdin, o.stdout = int(n[0]), int(n[1]), n[2], n[3], n[4]
	binary.BigEndian.PutUint64(o.nonce[:], key)
	if o.fd < 3 {
		return offer{}, errOffer
	}
	return o, nil
}
