// SPDX-License-Identifier: Apache-2.0

package mqueue

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// status is what reading a queue's file says.
type status struct {
	bytes     int64
	notifyPID int
}

// parseStatus reads "QSIZE:129 NOTIFY:2 SIGNO:0 NOTIFY_PID:8260", each padded
// with spaces; what a later kernel adds is passed over.
func parseStatus(text string) (status, error) {
	var s status
	found := false
	for text = strings.TrimSpace(text); text != ""; {
		key, rest, ok := strings.Cut(text, ":")
		if !ok {
			return status{}, fmt.Errorf("%.40q has no colon", text)
		}
		value := rest
		if i := strings.IndexFunc(strings.TrimLeft(rest, " "), func(r rune) bool { return r == ' ' }); i >= 0 {
			i += len(rest) - len(strings.TrimLeft(rest, " "))
			value, rest = rest[:i], rest[i:]
		} else {
			rest = ""
		}
		text = strings.TrimSpace(rest)
		n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		if err != nil {
			return status{}, fmt.Errorf("%s: %w", key, err)
		}
		switch key {
		case "QSIZE":
			s.bytes, found = n, true
		case "NOTIFY_PID":
			s.notifyPID = int(n)
		}
	}
	if !found || s.bytes < 0 {
		return status{}, errors.New("no QSIZE in it")
	}
	return s, nil
}
