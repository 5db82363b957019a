// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"fmt"
	"strconv"
	"strings"
)

// Method says how an Identity is known. It is the strength of the claim.
type Method string

// The methods. SECURITY.md says what each one does and does not prove.
const (
	Kernel    Method = "kernel"     // peer credentials of a unix socket, or our own process
	Spawned   Method = "spawned"    // a child of ours: our own pidfd and the uid we gave it
	FileOwner Method = "file-owner" // whoever the mode of a FIFO lets in: its owner
	TLS       Method = "tls"        // a verified certificate
	Token     Method = "token"      // a bearer token
	SockDiag  Method = "sockdiag"   // the owner of a loopback TCP socket, asked of the kernel
	None      Method = "none"       // unknown; denied unless a rule says anonymous
)

// Identity is who a peer is and how that is known. It is a value: copy it
// freely, but treat Groups as read-only. The zero Identity is anonymous.
type Identity struct {
	Method Method

	// HasUID says that UID and GID are known and mean something in our user
	// namespace. The overflow uid of an unmapped namespace leaves it false.
	HasUID   bool
	UID, GID uint32
	Groups   []uint32 // supplementary groups, where the kernel tells

	// Unmapped says that the kernel named a uid that does not exist in our
	// user namespace. Such a peer matches no rule, not even anonymous.
	Unmapped bool

	// PID is for people to read. It is zero when unknown, and never proof of
	// anything: numbers are reused and differ between PID namespaces.
	PID int

	// Name is the certificate's or token's name: "spiffe://corp/billing",
	// "dns:host.example", "cn:Common Name", "token:ci". Empty for a uid.
	Name string
}

// Anonymous reports that nothing is known of the peer.
func (id Identity) Anonymous() bool { return !id.HasUID && id.Name == "" && !id.Unmapped }

// String returns the name by which logs and tables show the identity:
// "uid:1000", "spiffe://…", "dns:…", "cn:…", "token:…", "unmapped" or
// "anonymous".
func (id Identity) String() string {
	switch {
	case id.Name != "":
		return id.Name
	case id.HasUID:
		return "uid:" + strconv.FormatUint(uint64(id.UID), 10)
	case id.Unmapped:
		return "unmapped"
	}
	return "anonymous"
}

// Parse reads what a person types for an identity; it is the inverse of
// String. It serves `parley policy check --as`.
func Parse(s string) (Identity, error) {
	scheme, rest, ok := strings.Cut(s, ":")
	switch {
	case s == "anonymous":
		return Identity{Method: None}, nil
	case ok && rest != "" && scheme == "uid":
		uid, err := strconv.ParseUint(rest, 10, 32)
		if err != nil {
			return Identity{}, fmt.Errorf("uid %q is not a number between 0 and 4294967295", rest)
		}
		return Identity{Method: Kernel, HasUID: true, UID: uint32(uid)}, nil
	case ok && rest != "" && (scheme == "spiffe" || scheme == "dns" || scheme == "cn"):
		return Identity{Method: TLS, Name: s}, nil
	case ok && rest != "" && scheme == "token":
		return Identity{Method: Token, Name: s}, nil
	}
	return Identity{}, fmt.Errorf("%q is no identity: write uid:N, spiffe://…, dns:NAME, cn:NAME, token:NAME or anonymous", s)
}

// AuthType implements grpc's credentials.AuthInfo, so that an Identity is what
// a handler finds in peer.FromContext.
func (id Identity) AuthType() string { return string(id.Method) }
