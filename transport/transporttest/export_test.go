// SPDX-License-Identifier: Apache-2.0

package transporttest

import "time"

// SetLimit shortens the suite's patience, for a backend that is known to be
// broken.
func SetLimit(d time.Duration) { limit = d }
