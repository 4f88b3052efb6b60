// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package record

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// Begin notes, when a grant is written, how long it lasts by the policy that allows it.
func Begin(g *v1alpha1.PullAccessGrant, spec v1alpha1.LifetimeSpec, now time.Time) {
	g.Status.Lifetime = v1alpha1.Lifetime{WhenPolicyGone: spec.WhenPolicyGone, GracePeriod: spec.GracePeriod}
	if spec.ExpireAfter != nil {
		expires := metav1.NewTime(now.Add(spec.ExpireAfter.Duration))
		g.Status.Lifetime.ExpireTime = &expires
	}
	g.Status.Ending, g.Status.EndedTime = nil, nil
}

// EndOf says why and when the grant is to be taken back, nil if it stays for now,
// and when to ask again, zero if only a change of a policy can matter. named
// says whether a policy still names it. Only a member that the operator added is
// ever taken back.
func EndOf(g *v1alpha1.PullAccessGrant, named bool, now time.Time) (end *v1alpha1.Ending, again time.Time) {
	if !Granted(g) || g.Status.Origin != v1alpha1.OriginAdded {
		return nil, time.Time{}
	}
	if expires := g.Status.Lifetime.ExpireTime; expires != nil {
		announce := expires.Add(-grace(g))
		if now.Before(announce) {
			again = announce
		} else {
			end = &v1alpha1.Ending{Reason: v1alpha1.EndExpired, DueTime: *expires}
		}
	}
	if !named && g.Status.Lifetime.WhenPolicyGone != v1alpha1.Keep {
		gone := announced(g, now)
		if end == nil || gone.DueTime.Before(&end.DueTime) {
			end = gone
		}
	}
	if end != nil {
		again = end.DueTime.Time
	}
	return end, again
}

// announced keeps the time that was announced first: asking again does not put it off.
func announced(g *v1alpha1.PullAccessGrant, now time.Time) *v1alpha1.Ending {
	if g.Status.Ending != nil && g.Status.Ending.Reason == v1alpha1.EndPolicyGone {
		return g.Status.Ending.DeepCopy()
	}
	// The API keeps whole seconds: rounded up, nothing ends early.
	return &v1alpha1.Ending{Reason: v1alpha1.EndPolicyGone, DueTime: metav1.NewTime(now.Add(grace(g) + time.Second - 1).Truncate(time.Second))}
}

func grace(g *v1alpha1.PullAccessGrant) time.Duration {
	if period := g.Status.Lifetime.GracePeriod; period != nil {
		return period.Duration
	}
	return v1alpha1.DefaultGracePeriod
}

// Announce records that the grant is going to end, or with nil that it is not.
func Announce(g *v1alpha1.PullAccessGrant, end *v1alpha1.Ending) {
	g.Status.Ending = end
	Summarise(g)
}

// End records that the operator took its member out. What the record says of
// effects and restarts stays, for whoever asks later what happened.
func End(g *v1alpha1.PullAccessGrant, reason v1alpha1.EndReason, now time.Time) {
	ended := metav1.NewTime(now)
	g.Status.EndedTime, g.Status.Ending = &ended, nil
	g.Status.GrantedTime, g.Status.EffectiveTime, g.Status.Origin, g.Status.Write = nil, nil, "", nil
	set(g, v1alpha1.ConditionGranted, metav1.ConditionFalse, string(reason), EndSentence(reason))
	set(g, v1alpha1.ConditionEffective, metav1.ConditionUnknown, string(reason), "The access was taken back.")
	Summarise(g)
}

// Ended tells whether the operator took its member out, and nobody has asked anew.
func Ended(g *v1alpha1.PullAccessGrant) bool { return g.Status.EndedTime != nil }

// Reopen records that a pod asks anew for what has ended.
func Reopen(g *v1alpha1.PullAccessGrant, w v1alpha1.Workload, policy string, now time.Time) {
	g.Status.EndedTime = nil
	set(g, v1alpha1.ConditionGranted, metav1.ConditionFalse, v1alpha1.ReasonGranting, "A pod has asked anew for what was taken back.")
	Join(g, w, policy, now)
	Summarise(g)
}

// EndSentence says why a grant was taken back.
func EndSentence(reason v1alpha1.EndReason) string {
	if reason == v1alpha1.EndExpired {
		return "The grant's time was over, and the operator took the member out again; a pod that cannot pull asks anew."
	}
	return "No PullAccessPolicy names the repository and the account any more, and the operator took the member out again; while a policy allows it, a pod that cannot pull asks anew."
}

// EndingSentence says what is about to happen, and how to keep it from happening.
func EndingSentence(end *v1alpha1.Ending) string {
	at := end.DueTime.UTC().Format(time.RFC3339)
	if end.Reason == v1alpha1.EndExpired {
		return fmt.Sprintf("The grant's time is over at %s; the operator then takes the member out.", at)
	}
	return fmt.Sprintf("No PullAccessPolicy names the repository and the account any more; the operator takes the member out at %s unless one does by then.", at)
}
