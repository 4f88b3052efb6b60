// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"cmp"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/report"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// document is what -o json and -o yaml print. Fields may be added to it; what is
// there keeps its name and its meaning within a version.
type document struct {
	Version string  `json:"version"`
	Grants  []grant `json:"grants"`
}

// grant is one grant, fit to be shown. A time that is not known is "".
type grant struct {
	Name string `json:"name"`
	// Repository is PROJECT/LOCATION/NAME.
	Repository string `json:"repository"`
	Account    string `json:"account"`
	// State is where it stands, in one word.
	State string `json:"state"`
	// Message says more of it, and what happens next.
	Message string `json:"message"`
	// Policy is the one under which it is asked for.
	Policy string `json:"policy"`
	// PolicyGeneration is that of the policy when it was proposed to a person; the
	// answer counts for no other. 0: no person is asked.
	PolicyGeneration int64 `json:"policyGeneration"`
	// Workload is the one whose failure led to it: KIND NAMESPACE/NAME.
	Workload string `json:"workload"`
	// Since is when it came to be in force; of one that is not, when it ended, or
	// was asked for.
	Since string `json:"since"`
	// Until is when it is taken back, or lapses without an answer.
	Until    string `json:"until"`
	LastUsed string `json:"lastUsed"`
	// Origin is Added or Found.
	Origin string `json:"origin"`
	// StaysInCloud: the operator takes the member out of no policy when it ends.
	StaysInCloud bool      `json:"staysInCloud"`
	Review       review    `json:"review"`
	Workloads    workloads `json:"workloads"`

	since, until, lastUsed *metav1.Time
}

// review is a person's word on it, empty if nobody has said anything.
type review struct {
	Decision string `json:"decision"`
	User     string `json:"user"`
	Reason   string `json:"reason"`
}

// workloads counts those that waited for it.
type workloads struct {
	Count     int `json:"count"`
	Recovered int `json:"recovered"`
}

func newDocument(grants []v1alpha1.PullAccessGrant, now time.Time) document {
	d := document{Version: report.Version, Grants: []grant{}}
	for i := range grants {
		d.Grants = append(d.Grants, grantOf(&grants[i], now))
	}
	return d
}

func grantOf(g *v1alpha1.PullAccessGrant, now time.Time) grant {
	shown := grant{
		Name: report.Clean(g.Name), Repository: report.Clean(imageref.Of(g.Spec.Repository).String()), Account: report.Clean(accountOf(g)),
		State: report.Clean(stateOf(g, now)), Policy: report.Clean(grantstatus.PolicyName(g)), Workload: report.Clean(nameOf(g.Spec.Workload)),
		Origin: string(g.Status.Origin), StaysInCloud: grantstatus.Granted(g) && grantstatus.Stays(g), Workloads: countOf(g),
		since: sinceOf(g), until: untilOf(g), lastUsed: g.Status.Usage.LastUsedTime,
	}
	if ready := meta.FindStatusCondition(g.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
		shown.Message = report.Clean(ready.Message)
	}
	if proposal := g.Status.Proposal; proposal != nil {
		shown.PolicyGeneration = proposal.PolicyGeneration
	}
	if r := g.Status.Review; r != nil {
		shown.Review = review{Decision: string(r.Decision), User: report.Clean(r.User), Reason: report.Clean(r.Reason)}
	}
	shown.Since, shown.Until, shown.LastUsed = stamp(shown.since), stamp(shown.until), stamp(shown.lastUsed)
	return shown
}

// stateOf is the grant's state, but that of one whose time to wait is over and to
// which the operator has not come yet.
func stateOf(g *v1alpha1.PullAccessGrant, now time.Time) string {
	if grantstatus.Waiting(g) && g.Status.Proposal != nil && !now.Before(g.Status.Proposal.LapseTime.Time) {
		return string(v1alpha1.EndLapsed)
	}
	return grantstatus.State(g)
}

func accountOf(g *v1alpha1.PullAccessGrant) string {
	email, ok := v1alpha1.EmailOf(g.Spec.Member)
	if !ok {
		return g.Spec.Member
	}
	return email
}

func nameOf(w v1alpha1.Workload) string { return w.Kind + " " + w.Namespace + "/" + w.Name }

// sinceOf is since when it stands where it stands: in force, at its end, or waiting.
func sinceOf(g *v1alpha1.PullAccessGrant) *metav1.Time {
	for _, t := range []*metav1.Time{g.Status.EndedTime, g.Status.GrantedTime, g.Status.RequestedTime} {
		if t != nil {
			return t
		}
	}
	if g.CreationTimestamp.IsZero() {
		return nil
	}
	return &g.CreationTimestamp
}

// untilOf is when it ends, or lapses; nil if no time is set for that.
func untilOf(g *v1alpha1.PullAccessGrant) *metav1.Time {
	switch {
	case grantstatus.Ended(g):
		return nil
	case grantstatus.Waiting(g) && g.Status.Proposal != nil:
		return &g.Status.Proposal.LapseTime
	case g.Status.Ending != nil:
		return &g.Status.Ending.DueTime
	default:
		return g.Status.Lifetime.ExpireTime
	}
}

// countOf counts the workloads, with those that the list has dropped: they had
// recovered, or were gone and are not counted.
func countOf(g *v1alpha1.PullAccessGrant) workloads {
	listed := 0
	for i := range g.Status.Workloads {
		if g.Status.Workloads[i].State == v1alpha1.WorkloadRecovered {
			listed++
		}
	}
	recovered := max(listed, int(g.Status.RecoveredWorkloads))
	return workloads{Count: len(g.Status.Workloads) + recovered - listed, Recovered: recovered}
}

func stamp(t *metav1.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func orNone(s string) string { return cmp.Or(s, "<none>") }
