// SPDX-License-Identifier: Apache-2.0

// Package heavy is what nobody wants to carry.
package heavy
