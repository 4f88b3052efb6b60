// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// cell is one figure of a table. A count that must hold exactly carries its judgement.
type cell struct {
	text   string
	judged bool
	held   bool
}

func figure(format string, args ...any) cell { return cell{text: fmt.Sprintf(format, args...)} }

// exactly judges a count that must be want.
func exactly(got, want int) cell {
	return cell{text: fmt.Sprintf("%d of %d", got, want), judged: true, held: got == want}
}

// atMost judges a count that must not be above limit.
func atMost(got, limit int) cell {
	return cell{text: fmt.Sprintf("%d of at most %d", got, limit), judged: true, held: got <= limit}
}

func (c cell) String() string {
	switch {
	case !c.judged:
		return c.text
	case c.held:
		return c.text + " held"
	default:
		return c.text + " MISSED"
	}
}

// table is text in columns: what was counted, its figures, and the target if there is one.
type table struct {
	title string
	head  []string
	rows  [][]cell
}

func (t *table) add(label string, cells []cell, target string) {
	t.rows = append(t.rows, slices.Concat([]cell{{text: label}}, cells, []cell{{text: target}}))
}

// comparison is a table with a column for each of some results.
type comparison[R interface{ label() string }] struct {
	*table
	results []R
}

// compare begins one; first and last are the heads of the columns at its sides.
func compare[R interface{ label() string }](first, last string, results []R) comparison[R] {
	c := comparison[R]{&table{head: []string{first}}, results}
	for _, r := range results {
		c.head = append(c.head, r.label())
	}
	c.head = append(c.head, last)
	return c
}

// line adds one figure of each result.
func (c comparison[R]) line(label, target string, of func(R) cell) {
	var cells []cell
	for _, r := range c.results {
		cells = append(cells, of(r))
	}
	c.add(label, cells, target)
}

// missed counts the judged figures that did not hold.
func (t *table) missed() int {
	n := 0
	for _, row := range t.rows {
		for _, c := range row {
			if c.judged && !c.held {
				n++
			}
		}
	}
	return n
}

// print writes the table with its columns aligned: the first to the left, figures to the right.
func (t *table) print(out io.Writer) {
	lines := [][]string{t.head}
	for _, row := range t.rows {
		var line []string
		for _, c := range row {
			line = append(line, c.String())
		}
		lines = append(lines, line)
	}
	widths := make([]int, len(t.head))
	for _, line := range lines {
		for i, text := range line {
			widths[i] = max(widths[i], len(text))
		}
	}
	fmt.Fprintf(out, "\n%s\n\n", t.title)
	for n, line := range lines {
		var text strings.Builder
		for i, value := range line {
			pad := strings.Repeat(" ", widths[i]-len(value))
			switch {
			case i == 0, i == len(line)-1:
				text.WriteString(value + pad + "  ")
			default:
				text.WriteString(pad + value + "  ")
			}
		}
		fmt.Fprintln(out, strings.TrimRight(text.String(), " "))
		if n == 0 {
			fmt.Fprintln(out, strings.Repeat("-", len(strings.TrimRight(text.String(), " "))))
		}
	}
}

const megabyte = 1 << 20

func megabytes(n int64) cell { return figure("%.1f MB", float64(n)/megabyte) }

func seconds(d time.Duration) cell { return figure("%.1f s", d.Seconds()) }

// quantile is the value below which that part of the values lies; values are sorted by it.
func quantile(values []time.Duration, part float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	at := int(part*float64(len(values))+0.5) - 1
	return values[min(max(at, 0), len(values)-1)]
}
