// SPDX-License-Identifier: Apache-2.0

package exec

import (
	"bufio"
	"io"
	"log/slog"
)

// maxLine bounds a line of the child's in the log; a longer one is cut into
// several.
const maxLine = 4096

// logLines logs what r gives, line by line, until r ends.
func logLines(r io.Reader, logger *slog.Logger, stream string) {
	lines := bufio.NewReaderSize(r, maxLine)
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
