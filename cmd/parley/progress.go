// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// progress is one line on a terminal that says how far a file has got. A nil
// one, as newProgress returns where there is no terminal, shows nothing. Its
// methods may be called at once; the file that moved last is shown.
type progress struct {
	out *os.File

	mu      sync.Mutex
	name    string
	from    int64 // bytes at began
	began   time.Time
	shown   time.Time
	columns int // of the line that is on the screen
}

// redraw is how often the line changes at most.
const redraw = 100 * time.Millisecond

func newProgress(out io.Writer) *progress {
	f, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return &progress{out: f}
}

// show redraws the line. total is -1 where it is not known.
func (p *progress) show(name string, done, total int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if name != p.name {
		p.name, p.from, p.began = name, done, now
	}
	if done != total && now.Sub(p.shown) < redraw {
		return
	}
	p.shown = now
	width, _, err := term.GetSize(int(p.out.Fd()))
	if err != nil || width < 20 {
		width = 80
	}
	rate := 0.0
	if d := now.Sub(p.began); d > 0 {
		rate = float64(done-p.from) / d.Seconds()
	}
	p.draw(progressLine(name, done, total, rate, width-1))
}

// clear takes the line away, for others to print.
func (p *progress) clear() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.columns > 0 {
		p.draw("")
		fmt.Fprint(p.out, "\r")
	}
}

// draw replaces what is there with spaces and carriage returns alone, which
// every terminal understands.
func (p *progress) draw(line string) {
	columns := len([]rune(line))
	fmt.Fprint(p.out, "\r", line, strings.Repeat(" ", max(0, p.columns-columns)))
	p.columns = columns
}

// progressLine is at most width columns: name, bar, per cent, size, speed.
func progressLine(name string, done, total int64, rate float64, width int) string {
	figures := byteCount(uint64(done))
	share := 0.0
	if total > 0 {
		share = min(float64(done)/float64(total), 1)
		figures = fmt.Sprintf("%3.0f %%  %s of %s", share*100, figures, byteCount(uint64(total)))
	}
	if rate > 0 {
		figures += fmt.Sprintf("  %s/s", byteCount(uint64(rate)))
	}
	label := []rune(harmless(name))
	if room := max(width/3, 8); len(label) > room {
		label = append(label[:room-1], '…')
	}
	line := string(label) + "  "
	if bar := width - len([]rune(line)) - len(figures) - 4; total > 0 && bar >= 10 {
		full := int(share * float64(bar))
		line += "[" + strings.Repeat("#", full) + strings.Repeat(".", bar-full) + "]  "
	}
	if line += figures; len([]rune(line)) > width {
		line = string([]rune(line)[:width])
	}
	return line
}
