// SPDX-License-Identifier: Apache-2.0

package loglines

import (
	"bufio"
	"io"
	"log/slog"
)

// MaxLine bounds a line in the log, in bytes; a longer one is cut into several.
const MaxLine = 4096

// Copy logs what r gives until r ends. stream says which of the child's it is.
func Copy(r io.Reader, logger *slog.Logger, stream string) {
	lines := bufio.NewReaderSize(r, MaxLine)
	for {
		line, _, err := lines.ReadLine()
		if len(line) > 0 {
			logger.Info("child says", "stream", stream, "line", string(line))
		}
		if err != nil {
			return
		}
	}
}
