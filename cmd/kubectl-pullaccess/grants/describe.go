// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"bytes"
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/report"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
)

// describe tells all that is on record of a grant, and what can be done next.
func describe(g *v1alpha1.PullAccessGrant, now time.Time) string {
	var text bytes.Buffer
	shown := grantOf(g, now)
	facts(&text, g, &shown, now)
	section(&text, "Not known when it was decided", nil, lines(g.Spec.Unknowns))
	section(&text, "Conditions", []string{"TYPE", "STATUS", "REASON", "SINCE", "MESSAGE"}, conditions(g))
	section(&text, "Workloads", []string{"WORKLOAD", "POLICY", "STATE", "RESTARTS", "FAILING SINCE", "MESSAGE"}, waiters(g))
	section(&text, "History", []string{"TIME", "EVENT", "WHO", "MESSAGE"}, history(g))
	if steps := next(g, shown.State); len(steps) > 0 {
		fmt.Fprintln(&text, "\nNext:")
		for _, s := range steps {
			fmt.Fprintf(&text, "  %s\n    %s\n", s.why, s.command)
		}
	}
	return text.String()
}

// facts are what is to be said once, a line each.
func facts(text *bytes.Buffer, g *v1alpha1.PullAccessGrant, shown *grant, now time.Time) {
	w := printers.GetNewTabWriter(text)
	fact := func(name, value string) {
		if value != "" {
			_, _ = fmt.Fprintf(w, "%s:\t%s\n", name, value) // Into memory.
		}
	}
	relative := func(t *metav1.Time, how string) string {
		if t.IsZero() {
			return ""
		}
		return fmt.Sprintf("%s (%s)", stamp(t), how)
	}
	fact("Name", shown.Name)
	fact("Repository", shown.Repository)
	fact("Member", report.Clean(g.Spec.Member))
	fact("Role", iampolicy.Role)
	fact("State", shown.State)
	fact("Message", shown.Message)
	fact("Policy", shown.Policy)
	fact("Asked for by", shown.Workload)
	fact("Evidence", report.Clean(g.Spec.Evidence))
	fact("Origin", originSentence(g))
	fact("Since", relative(shown.since, ago(shown.since, now)+" ago"))
	fact("Until", relative(shown.until, ahead(shown.until, now)))
	if ending := g.Status.Ending; ending != nil {
		fact("Ending because", report.Clean(string(ending.Reason)))
	}
	if unused := g.Status.Lifetime.RevokeWhenUnusedFor; unused != nil {
		fact("Taken back", "when nothing has used it for "+unused.Duration.String())
	}
	fact("Last used", relative(shown.lastUsed, ago(shown.lastUsed, now)+" ago"))
	fact("First pull", stamp(g.Status.EffectiveTime))
	fact("Review", strings.TrimSuffix(shown.Review.String()+": "+shown.Review.Reason, ": "))
	if write := g.Status.Write; write != nil {
		fact("Last write", fmt.Sprintf("%s, etag %s before, %s after", stamp(&write.IntentTime),
			orNone(report.Clean(write.EtagBefore)), cmp.Or(report.Clean(write.EtagAfter), "not known")))
	}
	if n := g.Status.RefusedRevocations; n > 0 {
		fact("Refused removals", strconv.Itoa(int(n)))
	}
	fact("Workloads", fmt.Sprintf("%d of %d recovered", shown.Workloads.Recovered, shown.Workloads.Count))
	_ = w.Flush() // Into memory.
}

// originSentence says who put the member there, and what that means for its end.
func originSentence(g *v1alpha1.PullAccessGrant) string {
	switch {
	case g.Status.Origin == v1alpha1.OriginFound:
		return "found there; the operator leaves it when the grant ends"
	case g.Status.Origin == v1alpha1.OriginAdded && grantstatus.Stays(g):
		return "added by the operator, and left when the grant ends: other clusters may use the account"
	case g.Status.Origin == v1alpha1.OriginAdded:
		return "added by the operator, and taken out when the grant ends"
	default:
		return ""
	}
}

// section is a table below a heading of its own, nothing if it has no rows.
func section(text *bytes.Buffer, heading string, header []string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(text, "\n%s:\n", heading)
	w := printers.GetNewTabWriter(text)
	if len(header) > 0 {
		rows = append([][]string{header}, rows...)
	}
	for _, cells := range rows {
		row(w, append([]string{"  " + cells[0]}, cells[1:]...))
	}
	_ = w.Flush() // Into memory.
}

func lines(texts []string) [][]string {
	var rows [][]string
	for _, text := range texts {
		rows = append(rows, []string{report.Clean(text)})
	}
	return rows
}

func conditions(g *v1alpha1.PullAccessGrant) [][]string {
	var rows [][]string
	for i := range g.Status.Conditions {
		c := &g.Status.Conditions[i]
		rows = append(rows, []string{report.Clean(c.Type), string(c.Status), report.Clean(c.Reason), orNone(stamp(&c.LastTransitionTime)), report.Clean(c.Message)})
	}
	return rows
}

func waiters(g *v1alpha1.PullAccessGrant) [][]string {
	var rows [][]string
	for i := range g.Status.Workloads {
		w := &g.Status.Workloads[i]
		rows = append(rows, []string{
			report.Clean(nameOf(w.Workload)), report.Clean(w.Policy), string(w.State), strconv.Itoa(int(w.Attempts)),
			orNone(stamp(w.FailingSince)), report.Clean(w.Message),
		})
	}
	return rows
}

func history(g *v1alpha1.PullAccessGrant) [][]string {
	var rows [][]string
	for i := range g.Status.History {
		e := &g.Status.History[i]
		rows = append(rows, []string{stamp(&e.Time), string(e.Event), report.Clean(cmp.Or(e.User, "operator")), report.Clean(e.Message)})
	}
	return rows
}
