// SPDX-License-Identifier: Apache-2.0

package fault

import "testing"

func TestUp(*testing.T) {}
