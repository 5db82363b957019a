// SPDX-License-Identifier: Apache-2.0

// Package boot tells one boot of the machine from the next.
package boot
