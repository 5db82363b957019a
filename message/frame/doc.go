// SPDX-License-Identifier: Apache-2.0

// Package frame lends frames of shared memory from one owner to many
// receivers, and uses each again once all of them have released it.
package frame
