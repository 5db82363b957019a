// SPDX-License-Identifier: Apache-2.0

package sockdiag

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// The layouts are those of linux/netlink.h, linux/sock_diag.h and
// linux/inet_diag.h, in the machine's byte order except for ports and
// addresses, which are in the network's:
//
//	nlmsghdr          0 length u32 · 4 type u16 · 6 flags u16 · 8 seq u32 · 12 port u32
//	inet_diag_req_v2  0 family u8 · 1 protocol u8 · 2 ext u8 · 4 states u32 · 8 sockid
//	inet_diag_msg     0 family u8 · 1 state u8 · 4 sockid · 52 … · 64 uid u32 · 68 inode u32
//	inet_diag_sockid  0 sport be16 · 2 dport be16 · 4 src [16] · 20 dst [16] · 36 if u32 · 40 cookie [2]u32
const (
	headerSize  = 16
	requestSize = headerSize + 56
	answerSize  = 72
	sockIDSize  = 48

	sockDiagByFamily = 20
	anyCookie        = 1<<64 - 1
)

// TCP states as the kernel numbers them.
const (
	established = 1
	synReceived = 3
	listen      = 10
)

// socket is what the kernel answers about one.
type socket struct {
	local, remote netip.AddrPort // unmapped
	state         uint8
	uid           uint32
	inode         uint32 // 0: nobody has it open, so uid means nothing
}

// unaccepted reports that the connection may be in an accept queue. One that
// its owner closed is never in these states.
func (s socket) unaccepted() bool {
	return s.inode == 0 && (s.state == established || s.state == synReceived)
}

// encode makes a request for the one socket between local and remote.
func encode(local, remote netip.AddrPort, cookie uint64, seq uint32) []byte {
	b := make([]byte, requestSize)
	ne := binary.NativeEndian
	ne.PutUint32(b[0:], requestSize)
	ne.PutUint16(b[4:], sockDiagByFamily)
	ne.PutUint16(b[6:], unix.NLM_F_REQUEST)
	ne.PutUint32(b[8:], seq)
	r := b[headerSize:]
	r[0] = unix.AF_INET6
	if local.Addr().Is4() {
		r[0] = unix.AF_INET
	}
	r[1] = unix.IPPROTO_TCP
	ne.PutUint32(r[4:], 1<<32-1) // any state
	id := r[8:]
	binary.BigEndian.PutUint16(id[0:], local.Port())
	binary.BigEndian.PutUint16(id[2:], remote.Port())
	copy(id[4:20], local.Addr().AsSlice())
	copy(id[20:36], remote.Addr().AsSlice())
	ne.PutUint32(id[40:], uint32(cookie)) // the low half comes first
	ne.PutUint32(id[44:], uint32(cookie>>32))
	return b
}

var errMalformed = errors.New("malformed answer from the kernel")

// decode reads the answer to the request numbered seq. An answer that the
// kernel gave as an errno is returned as that.
func decode(b []byte, seq uint32) (socket, error) {
	ne := binary.NativeEndian
	if len(b) < headerSize {
		return socket{}, errMalformed
	}
	size := ne.Uint32(b[0:])
	if size < headerSize || uint64(size) > uint64(len(b)) || ne.Uint32(b[8:]) != seq {
		return socket{}, errMalformed
	}
	body := b[headerSize:size]
	switch kind := ne.Uint16(b[4:]); kind {
	case unix.NLMSG_ERROR:
		if len(body) < 4 {
			return socket{}, errMalformed
		}
		if code := int32(ne.Uint32(body)); code < 0 {
			return socket{}, syscall.Errno(-int64(code))
		}
		return socket{}, errMalformed // an acknowledgement, which we did not ask for
	case sockDiagByFamily:
		return decodeSocket(body)
	default:
		return socket{}, fmt.Errorf("%w: type %d", errMalformed, kind)
	}
}

func decodeSocket(m []byte) (socket, error) {
	if len(m) < answerSize {
		return socket{}, errMalformed
	}
	id := m[4 : 4+sockIDSize]
	width := 16
	switch m[0] {
	case unix.AF_INET:
		width = 4
	case unix.AF_INET6:
	default:
		return socket{}, errMalformed
	}
	src, _ := netip.AddrFromSlice(id[4 : 4+width])
	dst, _ := netip.AddrFromSlice(id[20 : 20+width])
	return socket{
		local:  netip.AddrPortFrom(src.Unmap(), binary.BigEndian.Uint16(id[0:])),
		remote: netip.AddrPortFrom(dst.Unmap(), binary.BigEndian.Uint16(id[2:])),
		state:  m[1],
		uid:    binary.NativeEndian.Uint32(m[64:]),
		inode:  binary.NativeEndian.Uint32(m[68:]),
	}, nil
}
