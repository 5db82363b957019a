// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package broadcast

import "time"

func nap(time.Duration) bool { return false }
