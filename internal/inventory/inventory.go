// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/shm"
)

// State is whether anybody uses an object.
type State string

// The states.
const (
	Live     State = "live"     // somebody has it: the kernel says so
	Orphaned State = "orphaned" // nobody has, among all processes that we may look at
	Kept     State = "kept"     // the kernel does not tell who has it, or it is at rest by design
	Unknown  State = "unknown"  // its owner's processes may not be looked at
)

// Object is one row.
type Object struct {
	Kind   string    `json:"kind"`
	Name   string    `json:"name"`
	UID    *uint32   `json:"uid,omitempty"` // of its owner, where that is known
	Size   int64     `json:"size"`          // bytes; 0 where there is no such thing
	Since  time.Time `json:"since"`         // when it was made or changed last; zero: not known
	State  State     `json:"state"`
	PIDs   []int     `json:"pids,omitempty"` // who has it, as far as we may look
	Detail string    `json:"detail,omitempty"`
	Parley bool      `json:"parley"` // ours, not the kernel's or another program's
	Err    error     `json:"-"`      // why more cannot be told, if so

	remove func() error // nil: it is not for us to remove
}

// Problem is a source that could not be looked at.
type Problem struct {
	Source string
	Err    error
}

// Options say what to list. The zero value is everything with a name, of all
// users, as far as we may look.
type Options struct {
	Unnamed bool // sockets without a name too
}

// List returns all objects by kind and name, and the sources that could not be
// looked at.
func List(ctx context.Context, o Options) ([]Object, []Problem, error) {
	var all []Object
	var problems []Problem
	add := func(source string, objects []Object, err error) {
		all = append(all, objects...)
		if err != nil {
			problems = append(problems, Problem{source, err})
		}
	}
	objects, err := endpoints(ctx)
	add("endpoints", objects, err)
	objects, err = named(ctx)
	add("named segments", objects, err)
	kernelObjects(o, add)
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	slices.SortStableFunc(all, func(a, b Object) int {
		return cmp.Or(cmp.Compare(order(a), order(b)), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	return all, problems, nil
}

// order puts Parley's own first.
func order(o Object) int {
	if o.Parley {
		return 0
	}
	return 1
}

func endpoints(ctx context.Context) ([]Object, error) {
	infos, err := endpoint.List(ctx, endpoint.ListOptions{All: true})
	objects := make([]Object, 0, len(infos))
	for _, i := range infos {
		if errors.Is(i.Err, fs.ErrNotExist) {
			continue
		}
		o := Object{Kind: "endpoint", Name: cmp.Or(i.Address, i.File), UID: &i.UID, Since: i.Started, State: Orphaned, Parley: true, Err: i.Err}
		if strings.HasPrefix(i.Address, "mem://") {
			o.Kind = "topic"
		}
		switch {
		case i.Err != nil:
			o.State = Unknown
		case i.Live:
			o.State, o.PIDs = Live, []int{i.PID}
		}
		objects = append(objects, o)
	}
	return objects, unless(err, fault.Unsupported)
}

func named(ctx context.Context) ([]Object, error) {
	infos, err := shm.ListNamed(ctx, shm.NamedOptions{All: true})
	objects := make([]Object, 0, len(infos))
	for _, i := range infos {
		if i.Kind == "" { // a directory that endpoint.List has told of
			continue
		}
		o := Object{Kind: i.Kind, Name: i.Name, UID: &i.UID, Size: i.Size, Since: i.Created, State: Kept, Parley: true, Err: i.Err}
		switch {
		case i.Err != nil:
			o.State = Unknown
		case i.Stale:
			o.State = Orphaned
		case i.Owned || i.Used:
			o.State, o.PIDs = Live, []int{i.PID}
		}
		objects = append(objects, o)
	}
	return objects, unless(err, fault.Unsupported)
}

// unless drops an error of that kind.
func unless(err error, kind fault.Kind) error {
	if errors.Is(err, kind) {
		return nil
	}
	return err
}

// Removable reports whether Remove is for it: an object of the kernel's that
// its owner alone may use, or that all processes were looked at for, and that
// nobody has.
func (o Object) Removable() bool { return o.State == Orphaned && o.remove != nil }

// Remove removes it. Somebody may have opened it since it was listed: between
// a look and the removal the kernel knows no lock.
func (o Object) Remove() error {
	if !o.Removable() {
		return fault.New(fault.InUse, "remove", o.Name, errors.New("somebody has it, or may have"))
	}
	return o.remove()
}
