// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package shm

import (
	"context"
	"errors"
	"os"

	"github.com/parley-ipc/parley/fault"
)

var errLinuxOnly = fault.New(fault.Unsupported, "share memory", "", errors.New("sealed memory files need Linux"))

func create(string, int) (*Segment, error) { return nil, errLinuxOnly }

func receive(int, int) (*Segment, error) { return nil, errLinuxOnly }

func (s *Segment) seal() error { return errLinuxOnly }

func (s *Segment) mapTwice(int, bool) (*Mapping, error) { return nil, errLinuxOnly }

func unmap([]byte) error { return nil }

func closeFD(int) error { return nil }

func mapMemory(int, int, bool, bool) ([]byte, error) { return nil, errLinuxOnly }

func checkMemory(*os.File, int) (bool, error) { return false, errLinuxOnly }

func (b *block) open() ([]byte, error) { return nil, errLinuxOnly }

func (b *block) freeze() error { return errLinuxOnly }

func (b *block) keep() error { return errLinuxOnly }

func (namedIn) open(context.Context, string, NamedConfig) (*Named, error) { return nil, errNamedLinux }

func (n *Named) access() (Access, error) { return Access{}, errNamedLinux }

func (namedIn) list(context.Context, NamedOptions) ([]NamedInfo, error) { return nil, errNamedLinux }

func (namedIn) unlink(context.Context, string, NamedConfig, bool) error { return errNamedLinux }

func (namedIn) removeStale(context.Context, NamedInfo) error { return errNamedLinux }

var errNamedLinux = fault.New(fault.Unsupported, "named segment", "", errors.New("named segments need Linux's locks"))
