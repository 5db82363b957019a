// SPDX-License-Identifier: Apache-2.0

package measure

import "time"

// OwnCPU is the processor time that this process has used.
func OwnCPU() time.Duration { return ownCPU() }
