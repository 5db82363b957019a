// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"context"
	"time"
)

// ListOptions say whose endpoints to list. The zero value is our own.
type ListOptions struct {
	User string // a user's name or uid
	All  bool   // everybody's, as far as we may look
}

// Info is one endpoint as the registry shows it.
type Info struct {
	Address    string    `json:"address"` // as another program would dial it; empty if unknown
	Scheme     Scheme    `json:"scheme"`
	PID        int       `json:"pid"`        // in the owner's PID namespace: for people, never proof
	Executable string    `json:"executable"` // as the owner says
	UID        uint32    `json:"uid"`        // owner of the entry's file
	Started    time.Time `json:"started"`
	Live       bool      `json:"live"` // the owner's lock is held; the only proof of life
	Counters   Snapshot  `json:"counters"`
	Path       string    `json:"path,omitempty"` // socket, or stem of the fifos
	File       string    `json:"file"`           // the entry itself
	Err        error     `json:"-"`              // why the entry cannot be read or understood, if so

	inherited bool
	refDir    string // where the reference lies that led here
}

// List returns the endpoints in the registry, stale ones too, in the order of
// their files. An entry or directory that cannot be read is an Info with Err
// set. It takes no lock and disturbs nobody. Elsewhere than on Linux there is
// no registry: fault.Unsupported.
func List(ctx context.Context, o ListOptions) ([]Info, error) { return names{}.list(ctx, o) }

// Remove removes what a dead owner left: its socket, then its entry, while
// holding the lock without which nobody can take the name. If the owner lives
// the error is fault.InUse; what is not an entry of this version is refused.
// A socket that somebody else answers on is left. info comes from List.
func Remove(ctx context.Context, info Info) error { return names{}.removeStale(ctx, info) }

// Snapshot is the Counters at one moment; see there.
type Snapshot struct {
	Accepted       uint64 `json:"accepted"`
	Closed         uint64 `json:"closed"`
	Denied         uint64 `json:"denied"`
	Failed         uint64 `json:"failed"`
	BytesIn        uint64 `json:"bytes_in"`
	BytesOut       uint64 `json:"bytes_out"`
	FilesIn        uint64 `json:"files_in"`
	FilesOut       uint64 `json:"files_out"`
	Spins          uint64 `json:"spins"`
	Sleeps         uint64 `json:"sleeps"`
	Wakes          uint64 `json:"wakes"`
	Fallbacks      uint64 `json:"fallbacks"`
	SafetyTimeouts uint64 `json:"safety_timeouts"`
}

// snapshot gives the numbers of an entry their names, in the order of Counters.
func (e *entry) snapshot() Snapshot {
	c := &e.counters
	return Snapshot{
		Accepted: c[0], Closed: c[1], Denied: c[2], Failed: c[3],
		BytesIn: c[4], BytesOut: c[5], FilesIn: c[6], FilesOut: c[7],
		Spins: c[8], Sleeps: c[9], Wakes: c[10], Fallbacks: c[11], SafetyTimeouts: c[12],
	}
}
