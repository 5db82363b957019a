// SPDX-License-Identifier: Apache-2.0

// Package transport is two things. It is also a third.
package transport

// Name is a name.
const Name = "transport"
