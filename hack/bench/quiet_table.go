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
	t := compare("measured", "target", rows)
	t.title = fmt.Sprintf("Quiet clusters: healthy pods of %.1f KB each as JSON; resident memory is the median of %d reads at rest, a second apart",
		float64(podBytes)/1024, restSamples)
	t.line("operator: resident memory", "", func(r quietRow) cell { return megabytes(r.operator.resident) })
	t.line("operator: more than at "+rows[0].label(), "<= 10 MB", func(r quietRow) cell {
		return megabytes(r.operator.resident - rows[0].operator.resident)
	})
	t.line("operator: heap in use", "", func(r quietRow) cell { return megabytes(r.operator.heap) })
	t.line("operator: received at start", "", func(r quietRow) cell { return megabytes(r.operator.received) })
	t.line("operator: CPU to start", "< 5 s", func(r quietRow) cell { return fine(r.operator.start) })
	t.line("operator: CPU at rest", "< 1 % of a core", func(r quietRow) cell { return share(r.operator) })
	t.line("operator: CPU to take over", "< 5 s", func(r quietRow) cell { return fine(r.change) })
	t.line("plain manager: resident memory", "", func(r quietRow) cell { return megabytes(r.plain.resident) })
	t.line("plain manager: heap in use", "", func(r quietRow) cell { return megabytes(r.plain.heap) })
	t.line("plain manager: received at start", "", func(r quietRow) cell { return megabytes(r.plain.received) })
	t.line("plain manager: CPU to start", "", func(r quietRow) cell { return fine(r.plain.start) })
	t.line("plain manager: CPU at rest", "", func(r quietRow) cell { return share(r.plain) })
	t.line("plain : operator, resident memory", "", func(r quietRow) cell {
		return figure("%.1f : 1", float64(r.plain.resident)/float64(r.operator.resident))
	})
	t.line("plain : operator, CPU to start", "", func(r quietRow) cell {
		return figure("%.1f : 1", r.plain.start.Seconds()/r.operator.start.Seconds())
	})
	return t.table
}

func (r quietRow) label() string { return fmt.Sprintf("%d pods", r.pods) }

func fine(d time.Duration) cell { return figure("%.2f s", d.Seconds()) }

func share(u usage) cell {
	return figure("%.2f %%", 100*u.resting.Seconds()/u.end.Sub(u.rest).Seconds())
}

// requestTable is what was asked of the API server: until at rest, and in the seconds of rest.
func requestTable(rows []quietRow) *table {
	t := compare("requests", "", rows)
	t.title = fmt.Sprintf("Quiet clusters: requests to the API server at start / in %d s of rest", restSamples)
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
			t.line(manager.name+": "+kind, "", func(r quietRow) cell {
				return figure("%d / %d", manager.of(r).atStart[kind], manager.of(r).atRest[kind])
			})
		}
	}
	return t.table
}
