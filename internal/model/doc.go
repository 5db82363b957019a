// SPDX-License-Identifier: Apache-2.0

// Package model goes through every interleaving of a small model of a
// protocol, as Spin does: docs/formats/models.md has the models, and what they
// leave out.
package model
