// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"context"
	"time"

	"github.com/parley-ipc/parley/endpoint"
)

// roleTime bounds a role's life.
const roleTime = 2 * time.Minute

func roleContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), roleTime)
}

func openRole(address string, cfg Config) (*Engine, error) {
	addr, err := endpoint.Parse(address)
	if err != nil {
		return nil, err
	}
	return Open(context.Background(), addr, cfg)
}
