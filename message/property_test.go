// SPDX-License-Identifier: Apache-2.0

package message

import (
	"bytes"
	"io"
	"testing"

	"pgregory.net/rapid"
)

// TestAnyMessagesOverAnyChunking: whatever is sent arrives whole and in
// order, however the transport cuts the stream.
func TestAnyMessagesOverAnyChunking(t *testing.T) {
	sizes := rapid.OneOf(rapid.IntRange(0, 20), rapid.IntRange(0, 3*stageSize),
		rapid.SampledFrom([]int{minRead - headerSize, minRead, stageSize - headerSize - prefaceSize, stageSize - headerSize, stageSize, stageSize + 1, firstLoan, firstLoan + 1, 5 * firstLoan}))
	rapid.Check(t, func(t *rapid.T) {
		r := &recorder{}
		w := NewConn(r, Config{})
		var sent [][]byte
		for range rapid.IntRange(1, 6).Draw(t, "calls") {
			batch := rapid.SliceOfN(rapid.Map(sizes, pattern), 1, 5).Draw(t, "batch")
			if err := sendSomehow(t, w, batch); err != nil {
				t.Fatal(err)
			}
			sent = append(sent, batch...)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		most := rapid.SampledFrom([]int{1, 7, 4096, 1 << 20}).Draw(t, "chunk")
		if len(r.out) > 1<<15 {
			most = max(most, 4096)
		}
		b := NewConn(&playback{in: r.out, size: func() int { return most }}, Config{})
		for i, p := range sent {
			m, err := b.Receive(t.Context())
			if err != nil || !bytes.Equal(m.Bytes(), p) {
				t.Fatalf("message %d of %d: %v", i, len(sent), err)
			}
			m.Release()
		}
		if _, err := b.Receive(t.Context()); err != io.EOF { //nolint:errorlint // the very value
			t.Fatalf("at the end: %v", err)
		}
		_ = b.Close()
	})
}

func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i*7 + i>>8 + n)
	}
	return p
}

func sendSomehow(t *rapid.T, w *Conn, batch [][]byte) error {
	switch rapid.IntRange(0, 2).Draw(t, "how") {
	case 0:
		return w.SendBatch(t.Context(), batch)
	case 1:
		for _, p := range batch {
			if err := w.Send(t.Context(), p); err != nil {
				return err
			}
		}
		return nil
	}
	for _, p := range batch {
		res, err := w.Reserve(t.Context(), len(p)+3)
		if err != nil {
			return err
		}
		if err := res.Commit(t.Context(), copy(res.Bytes(), p)); err != nil {
			return err
		}
	}
	return nil
}
