// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"errors"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
)

// lasting is a policy whose grants last 8 minutes and are announced 2 minutes before.
func lasting() *v1alpha1.PullAccessPolicy {
	p := enforcing()
	p.Spec.Grant = v1alpha1.LifetimeSpec{
		ExpireAfter: &metav1.Duration{Duration: 8 * time.Minute}, GracePeriod: &metav1.Duration{Duration: 2 * time.Minute},
	}
	return p
}

// TestExpires: the end is announced, comes at its time, and only a pod that asks
// anew brings the access back.
func TestExpires(t *testing.T) {
	e := newEnv(t, readers(foreign), lasting(), requested(nodes))
	for range 2 { // Also the pass that writes it sees to its end.
		if result := e.mustPass(); result.RequeueAfter != 6*time.Minute {
			t.Errorf("the next look is in %v, want when the end is announced", result.RequeueAfter)
		}
	}
	e.at(now.Add(6 * time.Minute))
	if result := e.mustPass(); result.RequeueAfter != 2*time.Minute {
		t.Errorf("the next look is in %v, want at the end", result.RequeueAfter)
	}
	e.wantReaders(foreign, nodes)
	e.wantCondition(nodes, v1alpha1.ConditionReady, "False RevocationScheduled")
	e.at(now.Add(8 * time.Minute))
	e.restart() // The process that runs at the time does it.
	e.mustPass()
	e.wantReaders(foreign)
	e.wantCondition(nodes, v1alpha1.ConditionGranted, "False Expired")
	e.wantCondition(nodes, v1alpha1.ConditionReady, "False Expired")
	for range 2 {
		e.mustPass()
	}
	if len(e.Cloud.Sent) != 2 {
		t.Errorf("%d writes, want one to add and one to take out", len(e.Cloud.Sent))
	}

	g := e.grant(nodes)
	grantstatus.Reopen(g, g.Spec.Workload, "prod", now.Add(2*time.Hour))
	e.UpdateStatus(g)
	e.at(now.Add(2 * time.Hour))
	e.mustPass()
	e.wantReaders(foreign, nodes)
	if expires := e.grant(nodes).Status.Lifetime.ExpireTime; expires == nil || !expires.Time.Equal(now.Add(2*time.Hour+8*time.Minute)) {
		t.Errorf("asked anew, it expires at %v", expires)
	}
}

// TestEndsWithItsPolicy: what no policy names any more is announced and taken
// back; a policy in another mode, and one that comes back, keep it.
func TestEndsWithItsPolicy(t *testing.T) {
	keep := granted(nodes, v1alpha1.OriginAdded)
	keep.Status.Lifetime.WhenPolicyGone = v1alpha1.Keep
	narrowed := enforcing()
	narrowed.Spec.Repositories[0].Name = "another"
	dry := enforcing()
	dry.Spec.Mode = v1alpha1.ModeDryRun
	tests := map[string]struct {
		g      *v1alpha1.PullAccessGrant
		policy *v1alpha1.PullAccessPolicy
		ends   bool
		why    string
	}{
		"named":    {g: granted(nodes, v1alpha1.OriginAdded), policy: enforcing()},
		"narrowed": {g: granted(nodes, v1alpha1.OriginAdded), policy: narrowed, ends: true},
		"deleted":  {g: granted(nodes, v1alpha1.OriginAdded), ends: true},
		"dry run":  {g: granted(nodes, v1alpha1.OriginAdded), policy: dry, why: "it stops what is new"},
		"kept":     {g: keep, why: "its policy said so"},
		"found":    {g: granted(nodes, v1alpha1.OriginFound), why: "it was there before"},
		"dry run, but not named": {g: granted(nodes, v1alpha1.OriginAdded), policy: func() *v1alpha1.PullAccessPolicy {
			p := narrowed.DeepCopy()
			p.Spec.Mode = v1alpha1.ModeDryRun
			return p
		}(), ends: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, readers(foreign, nodes), tc.g)
			if tc.policy != nil {
				e.Create(tc.policy.DeepCopy())
			}
			e.mustPass()
			e.wantReaders(foreign, nodes)
			if announced := e.grant(nodes).Status.Ending != nil; announced != tc.ends {
				t.Errorf("announced: %v, want %v (%s)", announced, tc.ends, tc.why)
			}
			e.at(now.Add(v1alpha1.DefaultGracePeriod - time.Second))
			e.mustPass()
			e.wantReaders(foreign, nodes)
			e.at(now.Add(v1alpha1.DefaultGracePeriod))
			e.mustPass()
			if tc.ends {
				e.wantReaders(foreign)
				e.wantCondition(nodes, v1alpha1.ConditionGranted, "False PolicyGone")
			} else {
				e.wantReaders(foreign, nodes)
			}
		})
	}
}

// TestPolicyComesBack: within the grace period nothing has happened.
func TestPolicyComesBack(t *testing.T) {
	e := newEnv(t, readers(nodes), granted(nodes, v1alpha1.OriginAdded))
	e.mustPass()
	e.wantCondition(nodes, v1alpha1.ConditionReady, "False RevocationScheduled")
	e.Create(enforcing())
	e.mustPass()
	e.at(now.Add(time.Hour))
	e.mustPass()
	e.wantReaders(nodes)
	if e.grant(nodes).Status.Ending != nil || len(e.Cloud.Sent) > 0 {
		t.Errorf("ending %v, sent %v", e.grant(nodes).Status.Ending, e.Cloud.Sent)
	}
}

// TestEndMeetsTheCloud: while the member cannot be taken out, the grant stays
// Granted and says why; when that ends, so does the grant.
func TestEndMeetsTheCloud(t *testing.T) {
	e := newEnv(t, readers(nodes), granted(nodes, v1alpha1.OriginAdded))
	e.mustPass()
	e.at(now.Add(v1alpha1.DefaultGracePeriod))
	e.nextEdits(iampolicy.ErrForbidden)
	if _, err := e.pass(); err != nil && !errors.Is(err, iampolicy.ErrForbidden) {
		t.Fatal(err)
	}
	e.wantCondition(nodes, v1alpha1.ConditionGranted, "True AccessGranted")
	e.wantCondition(nodes, v1alpha1.ConditionReady, "False CloudForbidden")
	e.mustPass()
	e.wantReaders()
	e.wantCondition(nodes, v1alpha1.ConditionGranted, "False PolicyGone")
}

// TestEndSurvivesACrash: the write landed and its record did not.
func TestEndSurvivesACrash(t *testing.T) {
	for name, back := range map[string]bool{"the policy stays gone": false, "the policy comes back": true} {
		t.Run(name, func(t *testing.T) {
			g := granted(nodes, v1alpha1.OriginAdded)
			grantstatus.Announce(g, &v1alpha1.Ending{Reason: v1alpha1.EndPolicyGone, DueTime: metav1.NewTime(now)}, now)
			grantstatus.Intend(g, false, "etag-of-then", now)
			e := newEnv(t, readers(foreign), g)
			if back {
				e.Create(enforcing())
			}
			for range 3 {
				e.mustPass()
			}
			if back {
				e.wantReaders(foreign, nodes)
				e.wantCondition(nodes, v1alpha1.ConditionGranted, "True AccessGranted")
			} else {
				e.wantReaders(foreign)
				e.wantCondition(nodes, v1alpha1.ConditionGranted, "False PolicyGone")
			}
		})
	}
}
