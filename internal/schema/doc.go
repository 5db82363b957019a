// SPDX-License-Identifier: Apache-2.0

// Package schema finds out what a gRPC service looks like: from the server's
// own reflection, from .proto files, or from compiled descriptor sets.
package schema
