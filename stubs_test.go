// SPDX-License-Identifier: Apache-2.0

package parley_test

import "github.com/parley-ipc/parley/internal/proctest"

func roleList(p *proctest.Self) error     { return nil }
func roleActivate(p *proctest.Self) error { return nil }
