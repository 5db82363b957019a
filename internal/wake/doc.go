// SPDX-License-Identifier: Apache-2.0

// Package wake decides how to wait for another process: whether to spin, for
// how long, and when that has ceased to pay.
package wake
