// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/unix"
)

// MaxPayload is the largest payload in bytes.
const MaxPayload = 4096

// prefix makes the name of the socket, so that a notification's name is never
// another endpoint's.
const prefix = "notify-"

// A notification on the wire: version, length (big-endian), payload. The
// answer is one byte.
const (
	version    = 1
	headerSize = 3

	answerTaken  = 'T'
	answerDenied = 'D'
	answerBroken = 'B'
)

// Address is where the waiter of a name listens: NAME, or USER@NAME.
func Address(name string) (endpoint.Address, error) {
	user, plain, ok := strings.Cut(name, "@")
	if !ok {
		user, plain = "", name
	}
	text := "unix://" + prefix + plain
	if user != "" {
		text = "unix://" + user + "@" + prefix + plain
	}
	addr, err := endpoint.Parse(text)
	if err == nil && (plain == "" || strings.ContainsAny(plain[:1], ".-") || ok && user == "" || addr.Path != "" || addr.Name != prefix+plain) {
		err = errors.New("it is not of letters, digits, '.', '_' and '-'")
	}
	if err != nil {
		return addr, fault.New(fault.Invalid, "name notification", name, err).WithHint("write NAME, or USER@NAME for another user's")
	}
	return addr, nil
}

// Post notifies whoever waits at name (USER@NAME for another user's) and
// returns once its process has taken the notification. Nobody there is
// fault.Unavailable, a waiter whose policy says no fault.Denied.
func Post(ctx context.Context, name string, payload []byte) error {
	if len(payload) > MaxPayload {
		return fault.New(fault.TooLarge, "notify", name, fmt.Errorf("a payload of %d bytes, and the limit is %d", len(payload), MaxPayload))
	}
	addr, err := Address(name)
	if err != nil {
		return err
	}
	conn, err := unix.Dial(ctx, addr, transport.DialConfig{})
	if err != nil {
		return fault.Wrap("notify", name, err)
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	err = post(conn, payload)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return fault.Wrap("notify", name, err)
}

func post(conn net.Conn, payload []byte) error {
	b := make([]byte, headerSize, headerSize+len(payload))
	b[0] = version
	binary.BigEndian.PutUint16(b[1:], uint16(len(payload)))
	_, werr := conn.Write(append(b, payload...)) // a denied one's answer may be there before
	var answer [1]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		if werr != nil {
			err = werr
		}
		return fault.New(fault.PeerDied, "", "", fmt.Errorf("nobody says that it was taken: %w", err))
	}
	switch answer[0] {
	case answerTaken:
		return nil
	case answerDenied:
		return fault.New(fault.Denied, "", "", nil)
	}
	return fault.New(fault.Protocol, "", "", fmt.Errorf("the answer is %#x", answer[0]))
}

// read reads one notification.
func read(r io.Reader) ([]byte, error) {
	var head [headerSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(head[1:]))
	switch {
	case head[0] != version:
		return nil, fmt.Errorf("%w: version %d of notifications, we speak %d", fault.Protocol, head[0], version)
	case n > MaxPayload:
		return nil, fmt.Errorf("%w: a payload of %d bytes", fault.Protocol, n)
	}
	payload := make([]byte, n)
	_, err := io.ReadFull(r, payload)
	return payload, err
}
