// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package endpoint

import (
	"context"
	"errors"

	"github.com/parley-ipc/parley/fault"
)

func (n names) list(context.Context, ListOptions) ([]Info, error) {
	return nil, fault.New(fault.Unsupported, "list", "", errors.New("the registry of endpoints needs Linux"))
}

func (n names) removeStale(_ context.Context, info Info) error {
	return fault.New(fault.Unsupported, "remove", info.File, errors.New("the registry of endpoints needs Linux"))
}
