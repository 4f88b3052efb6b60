// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"io"
	"os"

	"k8s.io/cli-runtime/pkg/printers"
)

// Colored tells whether out is a terminal whose owner does not object.
// https://no-color.org
func Colored(out io.Writer) bool {
	return printers.IsTerminal(out) && mayColor(os.Getenv)
}

// mayColor tells whether the environment leaves colours to the program: NO_COLOR
// of any value but none forbids them, and a dumb terminal has none.
func mayColor(getenv func(string) string) bool {
	return getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
}

// palette marks words, or leaves them as they are.
type palette struct{ on bool }

// All codes are of one length, and every cell of a column has one, so that
// columns stay aligned.
const (
	standard = "\x1b[39m"
	red      = "\x1b[31m"
	green    = "\x1b[32m"
	yellow   = "\x1b[33m"
	cyan     = "\x1b[36m"
)

func (p palette) mark(code, s string) string {
	if !p.on {
		return s
	}
	return code + s + standard
}

func (p palette) plain(s string) string  { return p.mark(standard, s) }
func (p palette) strong(s string) string { return p.mark(cyan, s) }

func (p palette) byHelp(help string) string {
	switch help {
	case "Yes":
		return p.mark(green, help)
	case "No":
		return p.mark(red, help)
	default:
		return p.mark(yellow, help)
	}
}
