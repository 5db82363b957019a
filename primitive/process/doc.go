// SPDX-License-Identifier: Apache-2.0

// Package process is a handle on another process that stays true when its
// number is reused.
package process
