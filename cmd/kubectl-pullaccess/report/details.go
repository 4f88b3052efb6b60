// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import "fmt"

// listed is how many workloads and images are named; -o json has all.
const listed = 10

// details say below the table what each outage is and what to do, the command on
// a line of its own to be pasted.
func (p printer) details(d Document) {
	if len(d.Outages) == 0 {
		fmt.Fprintln(p, "No pod was found that cannot pull its image.")
	}
	for i := range d.Outages {
		o := &d.Outages[i]
		fmt.Fprintf(p, "\n%s: %s of %s\n", p.strong(o.Reason), Count(o.PodCount, "pod"), p.affected(o))
		fmt.Fprintf(p, "  %s\n", o.Sentence)
		if o.Command != "" {
			fmt.Fprintf(p, "  Next:\n    %s\n", o.Command)
		}
		if o.Evidence != "" {
			fmt.Fprintf(p, "  The kubelet's text says: %s\n", o.Evidence)
		}
		p.list("It may be", o.Candidates)
		p.list("Workloads", o.names())
		p.list("Images", beyondOne(o.Images))
		p.list("Not known", o.Unknown)
		fmt.Fprintf(p, "  More: %s\n", o.Page)
	}
	for i, note := range d.Notes {
		if i == 0 {
			fmt.Fprintln(p)
		}
		fmt.Fprintf(p, "Note: %s\n", note)
	}
}

func (p printer) affected(o *Outage) string {
	if len(o.Workloads) == 1 {
		return o.Workloads[0].String() + " in " + o.Workloads[0].Namespace
	}
	return Count(len(o.Workloads), "workload")
}

// names are the workloads, where the heading does not name the only one.
func (o *Outage) names() []string {
	var all []string
	for _, w := range o.Workloads {
		all = append(all, fmt.Sprintf("%s/%s: %s", w.Namespace, w.String(), Count(len(w.Pods), "pod")))
	}
	return beyondOne(all)
}

// beyondOne drops a single one: the sentence or the heading has named it.
func beyondOne(all []string) []string {
	if len(all) < 2 {
		return nil
	}
	return all
}

func (p printer) list(what string, all []string) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(p, "  %s:\n", what)
	for i, s := range all {
		if i == listed {
			fmt.Fprintf(p, "    … and %d more\n", len(all)-listed)
			return
		}
		fmt.Fprintf(p, "    %s\n", s)
	}
}

// Count is "1 pod", or "2 pods".
func Count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
