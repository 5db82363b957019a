// SPDX-License-Identifier: Apache-2.0

package rpc

import "google.golang.org/grpc/encoding"

// The HTTP/2 door is grpc-go's, which knows a codec by its own registry only,
// and that may be written during initialization only. A program that registers
// codecs of the same names in its own init has the last word.
func init() {
	for _, c := range []encoding.CodecV2{JSON, Raw} {
		if encoding.GetCodecV2(c.Name()) == nil && encoding.GetCodec(c.Name()) == nil {
			encoding.RegisterCodecV2(c)
		}
	}
}
