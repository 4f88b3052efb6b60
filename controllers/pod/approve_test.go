// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
)

// TestAsksAPerson: the grant is on record without a word in its status, for the grant
// controller to propose, and the pod is told once.
func TestAsksAPerson(t *testing.T) {
	e := newEnv(t)
	e.policy.Spec.Mode = v1alpha1.ModeApprove
	r := e.build()
	for range 3 {
		if _, err := e.fail(r, "ErrImagePull", controllertest.Denial(image)); err != nil {
			t.Fatal(err)
		}
	}
	if said := e.Recorder.Take(); len(said) != 1 || !strings.HasPrefix(said[0], "Normal WaitingForApproval ") || !strings.Contains(said[0], "kubectl pullaccess approve "+grantName) {
		t.Errorf("said %q", said)
	}
	if grants := e.Grants(); len(grants) != 1 || e.Writes()["create"] != 1 || len(e.Writes()) != 1 {
		t.Errorf("%d grants, wrote %v", len(grants), e.Writes())
	}
}

// TestWhatHasEnded: each end either stands, and the pod is told why, or is asked anew.
func TestWhatHasEnded(t *testing.T) {
	asks := func() *v1alpha1.PullAccessPolicy {
		p := policyOf()
		p.UID, p.Generation, p.Spec.Mode = "uid", 1, v1alpha1.ModeApprove
		return p
	}
	review := func(g *v1alpha1.PullAccessGrant, decision v1alpha1.ReviewDecision) {
		g.Status.Review = &v1alpha1.Review{Decision: decision, User: "ann@example.com", Reason: "not ours"}
	}
	tests := map[string]struct {
		edit   func(*v1alpha1.PullAccessGrant)
		made   time.Duration
		access diagnosis.State
		asks   bool
		said   string
		why    string
	}{
		"denied": {
			edit: func(g *v1alpha1.PullAccessGrant) {
				grantstatus.Propose(g, asks(), start)
				review(g, v1alpha1.ReviewDenied)
				grantstatus.End(g, v1alpha1.EndDenied, start)
			},
			made: time.Hour, said: "Warning Denied Denied by ann@example.com: not ours.", why: "a person's no stands, also for later pods",
		},
		"revoked": {
			edit: func(g *v1alpha1.PullAccessGrant) {
				grantstatus.Grant(g, v1alpha1.OriginAdded, "etag", start)
				review(g, v1alpha1.ReviewRevoked)
				grantstatus.End(g, v1alpha1.EndRevoked, start)
			},
			made: time.Hour, said: "Warning Revoked Revoked by ann@example.com: not ours.",
		},
		"lapsed, a pod of before": {
			edit: func(g *v1alpha1.PullAccessGrant) {
				grantstatus.Propose(g, asks(), start)
				grantstatus.End(g, v1alpha1.EndLapsed, start)
			},
			made: -time.Hour, said: "Warning Lapsed Nobody has answered", why: "it was asked for this pod, and nobody answered",
		},
		"lapsed, a pod made since": {
			edit: func(g *v1alpha1.PullAccessGrant) {
				grantstatus.Propose(g, asks(), start)
				grantstatus.End(g, v1alpha1.EndLapsed, start)
			},
			made: time.Second, asks: true, said: "Normal AccessRequested ",
		},
		"its policy changed": {
			edit: func(g *v1alpha1.PullAccessGrant) {
				grantstatus.Propose(g, asks(), start)
				grantstatus.End(g, v1alpha1.EndPolicyChanged, start)
			},
			asks: true, said: "Normal AccessRequested ",
		},
		"no policy allowed it": {
			edit: func(g *v1alpha1.PullAccessGrant) {
				grantstatus.Refuse(g, metav1.ConditionFalse, v1alpha1.ReasonPolicyGone, "None.", true)
			},
			asks: true, said: "Normal AccessRequested ", why: "now one does",
		},
		"found, and taken out by whoever had added it": {
			edit: func(g *v1alpha1.PullAccessGrant) {
				grantstatus.Grant(g, v1alpha1.OriginFound, "etag", start.Add(-time.Hour))
			},
			asks: true, said: "", why: "another cluster's operator took back its own",
		},
		"waiting for a person under another policy": {
			edit: func(g *v1alpha1.PullAccessGrant) {
				g.Status.Policy = "careful"
				grantstatus.Propose(g, asks(), start)
			},
			asks: true, said: "", why: "policy prod asks nobody, and any one that allows suffices",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			e.grant = grantOf("prod", deploymentNamed("api"))
			tc.edit(e.grant)
			e.pod.CreationTimestamp = metav1.NewTime(start.Add(tc.made))
			e.Clock.SetTime(start.Add(2 * time.Hour))
			r := e.build()
			if _, err := e.fail(r, "ErrImagePull", controllertest.Denial(image)); err != nil {
				t.Fatal(err)
			}
			g := e.Grants()[0]
			if asked := g.Status.RequestedTime != nil && !grantstatus.Ended(&g) && !grantstatus.Granted(&g) && g.Status.Proposal == nil && g.Status.Review == nil; asked != tc.asks {
				t.Errorf("asked anew: %v, want %v (%s): %+v", asked, tc.asks, tc.why, g.Status)
			}
			if tc.asks && grantstatus.PolicyName(&g) != "prod" {
				t.Errorf("it is asked for under policy %s", grantstatus.PolicyName(&g))
			}
			for range 2 {
				if _, err := e.fail(r, "ErrImagePull", controllertest.Denial(image)); err != nil {
					t.Fatal(err)
				}
			}
			said := e.Recorder.Take()
			if tc.said == "" {
				tc.said = "Normal AccessRequested "
			}
			if len(said) != 1 || !strings.HasPrefix(said[0], tc.said) {
				t.Errorf("said %q, want %q once (%s)", said, tc.said, tc.why)
			}
			if writes := e.Writes()["patch status"]; writes != map[bool]int{true: 1}[tc.asks] {
				t.Errorf("wrote %v (%s)", e.Writes(), tc.why)
			}
		})
	}
}

// TestTheLongestPolicyHolds: what one policy would end, another that has a workload
// there keeps.
func TestTheLongestPolicyHolds(t *testing.T) {
	e := newEnv(t)
	e.grant = grantOf("brief", deploymentNamed("api"))
	grantstatus.Grant(e.grant, v1alpha1.OriginAdded, "etag", start)
	grantstatus.Begin(e.grant, v1alpha1.LifetimeSpec{
		ExpireAfter: &metav1.Duration{Duration: time.Hour}, RevokeWhenUnusedFor: &metav1.Duration{Duration: time.Hour},
	}, start)
	e.policy.Spec.Grant.ExpireAfter = &metav1.Duration{Duration: 3 * time.Hour}
	r := e.build()
	for range 2 {
		if _, err := e.fail(r, "ErrImagePull", controllertest.Denial(image)); err != nil {
			t.Fatal(err)
		}
	}
	got := e.Grants()[0].Status.Lifetime
	if got.ExpireTime == nil || !got.ExpireTime.Time.Equal(start.Add(3*time.Hour)) || got.RevokeWhenUnusedFor != nil {
		t.Errorf("it lasts %+v, want 3 hours, and not to end for want of use", got)
	}
}
