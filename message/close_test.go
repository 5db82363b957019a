// SPDX-License-Identifier: Apache-2.0

package message

import (
	"bytes"
	"io"
	"net"
	"testing"
)

// Who only sends has the receiver's preface unread when it closes, and TCP
// answers that by throwing away what the receiver has yet to read.
func TestCloseOverTCPKeepsWhatIsStillToRead(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	x, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	y, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	a, b := conn(t, plain{x}, Config{}), conn(t, plain{y}, Config{})
	send(t, a, "one")
	wantReceive(t, b, "one") // b has greeted
	big := string(bytes.Repeat([]byte("two"), 300_000))
	send(t, a, big)
	closed := make(chan error, 1)
	go func() { closed <- a.Close() }()
	wantReceive(t, b, big)
	wantErr(t, receiveErr(t, b), io.EOF)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
}
