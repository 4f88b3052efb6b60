// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster && faults

package e2e

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// coordinates are where a cell stands in the matrix.
type coordinates struct{ crash, cloud, api string }

func (p coordinates) String() string {
	return fmt.Sprintf("crash %s, cloud %s, API server %s", p.crash, p.cloud, p.api)
}

// matrix is what came of each cell that was tried.
type matrix struct {
	blocks []string
	// lives is how many operators have begun.
	lives int
	held  map[coordinates]bool
}

func (m *matrix) note(p coordinates, held bool) { m.held[p] = held }

// count tells how many cells were tried and how many held.
func (m *matrix) count() (tried, held int) {
	for _, ok := range m.held {
		if ok {
			held++
		}
	}
	return len(m.held), held
}

// print writes one table for each fault of the API server, and the sum.
func (m *matrix) print(w io.Writer) {
	rows := []string{noCrash}
	for _, crash := range crashPoints {
		rows = append(rows, crash.name)
	}
	for _, api := range m.blocks {
		fmt.Fprintf(w, "\nAPI server: %s\n", api)
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		head := []string{"crash"}
		for _, cloud := range cloudFaults {
			head = append(head, cloud.name)
		}
		fmt.Fprintln(table, strings.Join(head, "\t"))
		for _, crash := range rows {
			line := []string{crash}
			for _, cloud := range cloudFaults {
				line = append(line, m.word(coordinates{crash, cloud.name, api}))
			}
			fmt.Fprintln(table, strings.Join(line, "\t"))
		}
		_ = table.Flush()
	}
	tried, held := m.count()
	fmt.Fprintf(w, "\ncells tried %d, cells held %d\n", tried, held)
	for _, p := range m.failed() {
		fmt.Fprintf(w, "did not hold: %s\n", p)
	}
}

// failed are the cells that did not hold, in order.
func (m *matrix) failed() []string {
	var failed []string
	for p, ok := range m.held {
		if !ok {
			failed = append(failed, p.String())
		}
	}
	slices.Sort(failed)
	return failed
}

func (m *matrix) word(p coordinates) string {
	switch held, tried := m.held[p]; {
	case !tried:
		return "-"
	case held:
		return "held"
	default:
		return "FAILED"
	}
}
