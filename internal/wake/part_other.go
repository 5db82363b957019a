// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package wake

func part() bool { return false }

func unpinned() bool { return false }
