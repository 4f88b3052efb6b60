// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package review

import (
	"fmt"
	"io"

	"k8s.io/cli-runtime/pkg/printers"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/report"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// listed is how many grants the summary names; kubectl pullaccess grants has all.
const listed = 20

// The fates of a grant that is taken back.
const (
	takenOut     = "taken out"
	takenIfThere = "taken out, if it is there: its write was interrupted"
	foundThere   = "stays: the operator found it there"
	usedByOthers = "stays: other clusters may use the account"
	isDenied     = "denied: it waits for approval"
	notWritten   = "not written, and will not be"
	goingAlready = "being taken back already"
)

// fates are all fates, in the order in which they are counted.
var fates = []string{takenOut, takenIfThere, foundThere, usedByOthers, isDenied, notWritten, goingAlready}

// fateOf says what becomes of a grant that has not ended.
func fateOf(g *v1alpha1.PullAccessGrant) string {
	switch {
	case going(g):
		return goingAlready
	case grantstatus.Waiting(g):
		return isDenied
	case g.Status.Origin == v1alpha1.OriginFound:
		return foundThere
	case grantstatus.Granted(g) && grantstatus.Stays(g):
		return usedByOthers
	case grantstatus.Granted(g):
		return takenOut
	case grantstatus.Interrupted(g):
		return takenIfThere
	default:
		return notWritten
	}
}

// going tells whether a person has said already that it is to end, and the operator is at it.
func going(g *v1alpha1.PullAccessGrant) bool {
	r := g.Status.Review
	return g.DeletionTimestamp != nil || r != nil && r.Decision != v1alpha1.ReviewApproved
}

// summarise says what becomes of the grants; ofPolicy names those, too, that pods
// of other policies use.
func summarise(out io.Writer, grants []v1alpha1.PullAccessGrant, under string, ofPolicy bool) {
	repositories, accounts, count := map[string]bool{}, map[string]bool{}, map[string]int{}
	w := printers.GetNewTabWriter(out)
	_, _ = fmt.Fprintln(w, "NAME\tREPOSITORY\tACCOUNT\tTHE MEMBER")
	for i := range grants {
		g := &grants[i]
		email, _ := v1alpha1.EmailOf(g.Spec.Member)
		repository, account := report.Clean(imageref.Of(g.Spec.Repository).String()), report.Clean(email)
		repositories[repository], accounts[account] = true, true
		count[fateOf(g)]++
		if i < listed {
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", report.Clean(g.Name), repository, account, fateOf(g))
		}
	}
	_ = w.Flush() // What it cannot say it cannot ask about either.
	if more := len(grants) - listed; more > 0 {
		fmt.Fprintf(out, "… and %d more\n", more)
	}
	fmt.Fprintf(out, "\n%s%s, on %s, for %s. Of the members:\n", report.Count(len(grants), "grant"), under, plural(len(repositories), "repository", "repositories"), report.Count(len(accounts), "account"))
	for _, fate := range fates {
		if count[fate] > 0 {
			fmt.Fprintf(out, "  %d %s\n", count[fate], fate)
		}
	}
	if shared := sharedBy(grants); ofPolicy && shared > 0 {
		fmt.Fprintf(out, "Pods of other policies use %d of them too.\n", shared)
	}
}

// sharedBy counts the grants that pods of other policies use than that under which
// they are asked for.
func sharedBy(grants []v1alpha1.PullAccessGrant) int {
	n := 0
	for i := range grants {
		for _, w := range grants[i].Status.Workloads {
			if w.Policy != grantstatus.PolicyName(&grants[i]) {
				n++
				break
			}
		}
	}
	return n
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
