// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
	"k8s.io/utils/clock"
)

// columns is how wide the demo prints; longer sentences go on below themselves.
const columns = 120

// colour is an SGR code; the zero value is the terminal's own colour.
type colour string

const (
	plain  colour = ""
	bold   colour = "1"
	faint  colour = "2"
	red    colour = "31"
	green  colour = "32"
	yellow colour = "33"
)

// printer tells what happens, each line with the time since the start.
type printer struct {
	out      io.Writer
	clock    clock.PassiveClock
	start    time.Time
	coloured bool
}

// newPrinter colours only what a person sees who did not say NO_COLOR.
func newPrinter(out *os.File, clk clock.PassiveClock) *printer {
	coloured := term.IsTerminal(int(out.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return &printer{out: out, clock: clk, start: clk.Now(), coloured: coloured}
}

// step heads a part of the story.
func (p *printer) step(format string, args ...any) { p.timed(bold, format, args...) }

// note tells what somebody did or said; good and bad do so with an opinion.
func (p *printer) note(format string, args ...any) { p.timed(plain, "  "+format, args...) }
func (p *printer) good(format string, args ...any) { p.timed(green, "  "+format, args...) }
func (p *printer) warn(format string, args ...any) { p.timed(yellow, "  "+format, args...) }
func (p *printer) bad(format string, args ...any)  { p.timed(red, "  "+format, args...) }

// fail says in one sentence why the demo failed, and quotes the log that may come with it.
func (p *printer) fail(err error) {
	sentence, log, _ := strings.Cut(err.Error(), "\n")
	p.timed(red, "The demo failed: %s.", strings.TrimRight(sentence, ":. "))
	p.block(log)
}

// timed prints a sentence behind the time, and what does not fit below it.
func (p *printer) timed(c colour, format string, args ...any) {
	stamp := fmt.Sprintf("[%6.1fs] ", p.clock.Since(p.start).Seconds())
	text := fmt.Sprintf(format, args...)
	indent := strings.Repeat(" ", len(text)-len(strings.TrimLeft(text, " ")))
	for i, line := range wrap(strings.TrimLeft(text, " "), columns-len(stamp)-len(indent)) {
		if i > 0 {
			stamp, line = strings.Repeat(" ", len(stamp)), "  "+line
		}
		p.line("%s%s", p.paint(faint, stamp), p.paint(c, indent+line))
	}
}

// block prints text of several lines as it stands, set in.
func (p *printer) block(text string) {
	for line := range strings.Lines(strings.Trim(text, "\n")) {
		c := plain
		switch {
		case strings.HasPrefix(line, "+"):
			c = green
		case strings.HasPrefix(line, "-"):
			c = red
		}
		p.line("    %s", p.paint(c, strings.TrimRight(line, " \n")))
	}
}

func (p *printer) line(format string, args ...any) {
	fmt.Fprintf(p.out, format+"\n", args...)
}

func (p *printer) paint(c colour, text string) string {
	if !p.coloured || c == plain || text == "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

// wrap breaks text between words so that no line but one long word is wider
// than width; lines after the first are set in by two.
func wrap(text string, width int) []string {
	lines := []string{""}
	for _, word := range strings.Fields(text) {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case len(*last)+1+len(word) <= width-2:
			*last += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}

// cut takes out the middle of a long text: what failed stands at its head, how at its end.
func cut(text string, limit int) string {
	const gap = " ... "
	if len(text) <= limit {
		return text
	}
	head := limit / 3
	return strings.ToValidUTF8(text[:head]+gap+text[len(text)-(limit-head-len(gap)):], "")
}

// head is the beginning of a line that is too long.
func head(line string, limit int) string {
	line = strings.TrimRight(line, " \n")
	if len(line) <= limit {
		return line
	}
	return strings.ToValidUTF8(line[:limit-len("...")], "") + "..."
}
