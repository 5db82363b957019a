// SPDX-License-Identifier: Apache-2.0

package filelock

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode"
)

// Holder is who holds a lock file, as it says itself: for people to read,
// never proof of life. The lock is that.
type Holder struct {
	PID        int       `json:"pid"` // in its own PID namespace
	UID        int       `json:"uid"`
	Executable string    `json:"executable"`
	Since      time.Time `json:"since"`
	Note       string    `json:"note,omitempty"` // what it wanted others to know
}

const (
	fileVersion = 1
	maxHolder   = 4096 // bytes of a lock file
)

// record is a lock file's content: docs/formats/lockfile.md.
type record struct {
	Version int `json:"parley_lock"`
	Holder
}

// ourselves is the content for this process.
func ourselves(note string) ([]byte, error) {
	exe, err := os.Executable()
	if err != nil {
		exe = os.Args[0]
	}
	r := record{fileVersion, Holder{os.Getpid(), os.Getuid(), exe, time.Now().UTC(), note}}
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	if len(text) >= maxHolder {
		return nil, fmt.Errorf("the note makes the lock file %d bytes long, and it may have %d", len(text)+1, maxHolder)
	}
	return append(text, '\n'), nil
}

// parseHolder reads a lock file, which another user may have written: what is
// in it is made printable.
func parseHolder(text []byte) (Holder, error) {
	if len(text) > maxHolder || bytes.Count(text, []byte("\n")) != 1 || !bytes.HasSuffix(text, []byte("\n")) {
		return Holder{}, errors.New("it is not one line of a lock file")
	}
	var r record
	if err := json.Unmarshal(text, &r); err != nil {
		return Holder{}, err
	}
	if r.Version != fileVersion {
		return Holder{}, fmt.Errorf("version %d of a lock file, and this program knows %d", r.Version, fileVersion)
	}
	r.Executable, r.Note = plain(r.Executable), plain(r.Note)
	return r.Holder, nil
}

func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

func (h Holder) asError() error {
	note := ""
	if h.Note != "" {
		note = " (" + h.Note + ")"
	}
	return fmt.Errorf("process %d of uid %d, %s%s, holds it since %s", h.PID, h.UID, h.Executable, note, h.Since.Local().Format(time.DateTime))
}
