// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// quietTable has a column for each number of pods, and a line for each figure of both managers and their ratio.
func quietTable(rows []quietRow, podBytes int) *table {
	t := &table{
		title: fmt.Sprintf("Quiet clusters: healthy pods of %.1f KB each as JSON; resident memory is the median of %d reads at rest, a second apart",
			float64(podBytes)/1024, restSamples),
		head: []string{"measured"},
	}
	for _, r := range rows {
		t.head = append(t.head, fmt.Sprintf("%d pods", r.pods))
	}
	t.head = append(t.head, "target")
	line := func(label, target string, of func(r quietRow) cell) {
		var cells []cell
		for _, r := range rows {
			cells = append(cells, of(r))
		}
		t.add(label, cells, target)
	}
	line("operator: resident memory", "", func(r quietRow) cell { return megabytes(r.operator.resident) })
	line("operator: more than at "+rows[0].label(), "<= 10 MB", func(r quietRow) cell {
		return megabytes(r.operator.resident - rows[0].operator.resident)
	})
	line("operator: heap in use", "", func(r quietRow) cell { return megabytes(r.operator.heap) })
	line("operator: received at start", "", func(r quietRow) cell { return megabytes(r.operator.received) })
	line("operator: CPU to start", "< 5 s", func(r quietRow) cell { return fine(r.operator.start) })
	line("operator: CPU at rest", "< 1 % of a core", func(r quietRow) cell { return share(r.operator) })
	line("operator: CPU to take over", "< 5 s", func(r quietRow) cell { return fine(r.change) })
	line("plain manager: resident memory", "", func(r quietRow) cell { return megabytes(r.plain.resident) })
	line("plain manager: heap in use", "", func(r quietRow) cell { return megabytes(r.plain.heap) })
	line("plain manager: received at start", "", func(r quietRow) cell { return megabytes(r.plain.received) })
	line("plain manager: CPU to start", "", func(r quietRow) cell { return fine(r.plain.start) })
	line("plain manager: CPU at rest", "", func(r quietRow) cell { return share(r.plain) })
	line("plain : operator, resident memory", "", func(r quietRow) cell {
		return figure("%.1f : 1", float64(r.plain.resident)/float64(r.operator.resident))
	})
	line("plain : operator, CPU to start", "", func(r quietRow) cell {
		return figure("%.1f : 1", r.plain.start.Seconds()/r.operator.start.Seconds())
	})
	return t
}

func (r quietRow) label() string { return fmt.Sprintf("%d pods", r.pods) }

func fine(d time.Duration) cell { return figure("%.2f s", d.Seconds()) }

func share(u usage) cell {
	return figure("%.2f %%", 100*u.resting.Seconds()/u.end.Sub(u.rest).Seconds())
}

// requestTable is what was asked of the API server: until at rest, and in the seconds of rest.
func requestTable(rows []quietRow) *table {
	t := &table{
		title: fmt.Sprintf("Quiet clusters: requests to the API server at start / in %d s of rest", restSamples),
		head:  []string{"requests"},
	}
	for _, r := range rows {
		t.head = append(t.head, r.label())
	}
	t.head = append(t.head, "")
	for _, manager := range []struct {
		name string
		of   func(r quietRow) usage
	}{
		{"operator", func(r quietRow) usage { return r.operator }},
		{"plain manager", func(r quietRow) usage { return r.plain }},
	} {
		kinds := map[string]int{}
		for _, r := range rows {
			maps.Copy(kinds, manager.of(r).atStart)
			maps.Copy(kinds, manager.of(r).atRest)
		}
		for _, kind := range slices.Sorted(maps.Keys(kinds)) {
			var cells []cell
			for _, r := range rows {
				cells = append(cells, figure("%d / %d", manager.of(r).atStart[kind], manager.of(r).atRest[kind]))
			}
			t.add(manager.name+": "+kind, cells, "")
		}
	}
	return t
}
