// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"errors"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
)

// at sets the time.
func (w *world) at(t time.Time) {
	w.r.Clock = clocktesting.NewFakePassiveClock(t)
}

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
	w := newWorld(t, newCloud(foreign), lasting(), requested(nodes))
	for range 2 { // Also the pass that writes it sees to its end.
		if result := w.mustPass(); result.RequeueAfter != 6*time.Minute {
			t.Errorf("the next look is in %v, want when the end is announced", result.RequeueAfter)
		}
	}
	w.at(now.Add(6 * time.Minute))
	if result := w.mustPass(); result.RequeueAfter != 2*time.Minute {
		t.Errorf("the next look is in %v, want at the end", result.RequeueAfter)
	}
	w.wantReaders(foreign, nodes)
	w.wantCondition(nodes, v1alpha1.ConditionReady, "False Ending")
	w.at(now.Add(8 * time.Minute))
	w.restart() // Whoever is there at the time does it.
	w.mustPass()
	w.wantReaders(foreign)
	w.wantCondition(nodes, v1alpha1.ConditionGranted, "False Expired")
	w.wantCondition(nodes, v1alpha1.ConditionReady, "False Expired")
	for range 2 {
		w.mustPass()
	}
	if len(w.cloud.Sent) != 2 {
		t.Errorf("%d writes, want one to add and one to take out", len(w.cloud.Sent))
	}

	g := w.grant(nodes)
	grantstatus.Reopen(g, g.Spec.Workload, "prod", now.Add(2*time.Hour))
	if err := w.client.Status().Update(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	w.at(now.Add(2 * time.Hour))
	w.mustPass()
	w.wantReaders(foreign, nodes)
	if expires := w.grant(nodes).Status.Lifetime.ExpireTime; expires == nil || !expires.Time.Equal(now.Add(2*time.Hour+8*time.Minute)) {
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
			w := newWorld(t, newCloud(foreign, nodes), tc.g)
			if tc.policy != nil {
				if err := w.client.Create(t.Context(), tc.policy.DeepCopy()); err != nil {
					t.Fatal(err)
				}
			}
			w.mustPass()
			w.wantReaders(foreign, nodes)
			if announced := w.grant(nodes).Status.Ending != nil; announced != tc.ends {
				t.Errorf("announced: %v, want %v (%s)", announced, tc.ends, tc.why)
			}
			w.at(now.Add(v1alpha1.DefaultGracePeriod - time.Second))
			w.mustPass()
			w.wantReaders(foreign, nodes)
			w.at(now.Add(v1alpha1.DefaultGracePeriod))
			w.mustPass()
			if tc.ends {
				w.wantReaders(foreign)
				w.wantCondition(nodes, v1alpha1.ConditionGranted, "False PolicyGone")
			} else {
				w.wantReaders(foreign, nodes)
			}
		})
	}
}

// TestPolicyComesBack: within the grace period nothing has happened.
func TestPolicyComesBack(t *testing.T) {
	w := newWorld(t, newCloud(nodes), granted(nodes, v1alpha1.OriginAdded))
	w.mustPass()
	w.wantCondition(nodes, v1alpha1.ConditionReady, "False Ending")
	if err := w.client.Create(t.Context(), enforcing()); err != nil {
		t.Fatal(err)
	}
	w.mustPass()
	w.at(now.Add(time.Hour))
	w.mustPass()
	w.wantReaders(nodes)
	if w.grant(nodes).Status.Ending != nil || len(w.cloud.Sent) > 0 {
		t.Errorf("ending %v, sent %v", w.grant(nodes).Status.Ending, w.cloud.Sent)
	}
}

// TestEndMeetsTheCloud: while the member cannot be taken out, the grant stays
// Granted and says why; when that ends, so does the grant.
func TestEndMeetsTheCloud(t *testing.T) {
	w := newWorld(t, newCloud(nodes), granted(nodes, v1alpha1.OriginAdded))
	w.mustPass()
	w.at(now.Add(v1alpha1.DefaultGracePeriod))
	w.cloud.NextErr = []error{iampolicy.ErrForbidden}
	if _, err := w.pass(); err != nil && !errors.Is(err, iampolicy.ErrForbidden) {
		t.Fatal(err)
	}
	w.wantCondition(nodes, v1alpha1.ConditionGranted, "True AccessGranted")
	w.wantCondition(nodes, v1alpha1.ConditionReady, "False CloudForbidden")
	w.mustPass()
	w.wantReaders()
	w.wantCondition(nodes, v1alpha1.ConditionGranted, "False PolicyGone")
}

// TestEndSurvivesACrash: the write landed and its record did not.
func TestEndSurvivesACrash(t *testing.T) {
	for name, back := range map[string]bool{"the policy stays gone": false, "the policy comes back": true} {
		t.Run(name, func(t *testing.T) {
			g := granted(nodes, v1alpha1.OriginAdded)
			grantstatus.Announce(g, &v1alpha1.Ending{Reason: v1alpha1.EndPolicyGone, DueTime: metav1.NewTime(now)}, now)
			grantstatus.Intend(g, false, "etag-of-then", now)
			w := newWorld(t, newCloud(foreign), g)
			if back {
				if err := w.client.Create(t.Context(), enforcing()); err != nil {
					t.Fatal(err)
				}
			}
			for range 3 {
				w.mustPass()
			}
			if back {
				w.wantReaders(foreign, nodes)
				w.wantCondition(nodes, v1alpha1.ConditionGranted, "True AccessGranted")
			} else {
				w.wantReaders(foreign)
				w.wantCondition(nodes, v1alpha1.ConditionGranted, "False PolicyGone")
			}
		})
	}
}
