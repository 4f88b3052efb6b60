// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grantstatus

import (
	"cmp"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/message"
)

// Begin notes, when a grant is written, how long it lasts by the policy that allows it.
func Begin(g *v1alpha1.PullAccessGrant, spec v1alpha1.LifetimeSpec, now time.Time) {
	g.Status.Lifetime = v1alpha1.Lifetime{
		WhenPolicyGone: spec.WhenPolicyGone, GracePeriod: spec.GracePeriod,
		RevokeWhenUnusedFor: spec.RevokeWhenUnusedFor, AccountsUsedBy: spec.AccountsUsedBy,
		Policies: []string{PolicyName(g)},
	}
	if spec.ExpireAfter != nil {
		expires := metav1.NewTime(now.Add(spec.ExpireAfter.Duration))
		g.Status.Lifetime.ExpireTime = &expires
	}
	g.Status.Ending, g.Status.EndedTime = nil, nil
}

// Lengthen notes that pods of one more policy use the grant: it lasts as long as the
// longest of them has it, and what one reason ends another keeps. Each policy counts
// once: that its pods keep coming puts off no end.
func Lengthen(g *v1alpha1.PullAccessGrant, policy string, spec v1alpha1.LifetimeSpec, now time.Time) {
	l := &g.Status.Lifetime
	if slices.Contains(l.Policies, policy) || len(l.Policies) >= v1alpha1.MaxLifetimePolicies {
		return
	}
	l.Policies = append(l.Policies, policy)
	if l.ExpireTime != nil {
		if spec.ExpireAfter == nil {
			l.ExpireTime = nil
		} else if expires := metav1.NewTime(now.Add(spec.ExpireAfter.Duration)); l.ExpireTime.Before(&expires) {
			l.ExpireTime = &expires
		}
	}
	if l.RevokeWhenUnusedFor != nil && (spec.RevokeWhenUnusedFor == nil || spec.RevokeWhenUnusedFor.Duration > l.RevokeWhenUnusedFor.Duration) {
		l.RevokeWhenUnusedFor = spec.RevokeWhenUnusedFor
	}
	if spec.WhenPolicyGone == v1alpha1.Keep {
		l.WhenPolicyGone = v1alpha1.Keep
	}
	if spec.AccountsUsedBy == v1alpha1.UsedBySeveralClusters {
		l.AccountsUsedBy = v1alpha1.UsedBySeveralClusters
	}
}

// EndOf says why and when the grant is to end, nil if it stays for now, and when to
// ask again, zero if only a change of a policy or a look at its use can matter. named says
// whether a policy still names it. Only what the operator added ends by itself.
func EndOf(g *v1alpha1.PullAccessGrant, named bool, now time.Time) (end *v1alpha1.Ending, again time.Time) {
	if !Granted(g) || g.Status.Origin != v1alpha1.OriginAdded {
		return nil, time.Time{}
	}
	for _, c := range []*candidate{disuse(g, now), expiry(g), policyGone(g, named, now)} {
		switch {
		case c == nil:
		case now.Before(c.announce):
			again = earliest(again, c.announce)
		case end == nil, waitsForALook(g, end, now), c.DueTime.Before(&end.DueTime):
			end = &c.Ending
		}
	}
	if end != nil && end.DueTime.After(now) {
		again = earliest(again, end.DueTime.Time)
	}
	return end, again
}

// waitsForALook tells whether the end is due and not to be done yet: it must not be in
// the way of another that is.
func waitsForALook(g *v1alpha1.PullAccessGrant, end *v1alpha1.Ending, now time.Time) bool {
	return !end.DueTime.After(now) && !Due(g, end, now)
}

// candidate is an end that is in sight, and from when on it is announced.
type candidate struct {
	v1alpha1.Ending
	announce time.Time
}

func expiry(g *v1alpha1.PullAccessGrant) *candidate {
	expires := g.Status.Lifetime.ExpireTime
	if expires == nil {
		return nil
	}
	return &candidate{v1alpha1.Ending{Reason: v1alpha1.EndExpired, DueTime: *expires}, expires.Add(-grace(g))}
}

// disuse is announced for the whole grace period, also where nobody looked for long.
func disuse(g *v1alpha1.PullAccessGrant, now time.Time) *candidate {
	since, period := g.Status.Usage.UnusedSinceTime, g.Status.Lifetime.RevokeWhenUnusedFor
	if since == nil || period == nil {
		return nil
	}
	due := since.Add(period.Duration)
	if announce := due.Add(-grace(g)); now.Before(announce) {
		return &candidate{announce: announce}
	}
	return fromNow(g, v1alpha1.EndUnused, now)
}

func policyGone(g *v1alpha1.PullAccessGrant, named bool, now time.Time) *candidate {
	if named || g.Status.Lifetime.WhenPolicyGone == v1alpha1.Keep {
		return nil
	}
	return fromNow(g, v1alpha1.EndPolicyGone, now)
}

// fromNow ends the grant a grace period from now. What was announced first stays:
// asking again does not put it off.
func fromNow(g *v1alpha1.PullAccessGrant, reason v1alpha1.EndReason, now time.Time) *candidate {
	if announced := g.Status.Ending; announced != nil && announced.Reason == reason {
		return &candidate{Ending: *announced}
	}
	// The API keeps whole seconds: rounded up, nothing ends early.
	due := metav1.NewTime(now.Add(grace(g) + time.Second - 1).Truncate(time.Second))
	return &candidate{Ending: v1alpha1.Ending{Reason: reason, DueTime: due}}
}

// Due tells whether what was announced is to be done now. Want of use has to be
// confirmed by a look that began no earlier.
func Due(g *v1alpha1.PullAccessGrant, end *v1alpha1.Ending, now time.Time) bool {
	if end == nil || end.DueTime.After(now) {
		return false
	}
	checked := g.Status.Usage.UnusedCheckedTime
	return end.Reason != v1alpha1.EndUnused || checked != nil && !checked.Before(&end.DueTime)
}

// MaxRevocations returns how many grants of its policy may be revoked in an hour because no
// policy names them.
func MaxRevocations(g *v1alpha1.PullAccessGrant) int {
	return cmp.Or(int(g.Status.Lifetime.MaxRevocationsPerHour), v1alpha1.DefaultMaxRevocationsPerHour)
}

// DueReason returns why the grant ends, if end is due. A grant that no policy names and
// whose time is over as well, or that nothing uses, ends for that: no limit delays it.
func DueReason(g *v1alpha1.PullAccessGrant, end *v1alpha1.Ending, now time.Time) v1alpha1.EndReason {
	if end.Reason != v1alpha1.EndPolicyGone {
		return end.Reason
	}
	usage, life := g.Status.Usage, g.Status.Lifetime
	if life.ExpireTime != nil && !life.ExpireTime.After(now) {
		return v1alpha1.EndExpired
	}
	if usage.UnusedSinceTime != nil && usage.UnusedCheckedTime != nil && life.RevokeWhenUnusedFor != nil &&
		!usage.UnusedCheckedTime.Time.Before(usage.UnusedSinceTime.Add(life.RevokeWhenUnusedFor.Duration)) {
		return v1alpha1.EndUnused
	}
	return v1alpha1.EndPolicyGone
}

func grace(g *v1alpha1.PullAccessGrant) time.Duration {
	if period := g.Status.Lifetime.GracePeriod; period != nil {
		return period.Duration
	}
	return v1alpha1.DefaultGracePeriod
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// usedWithin is how old the last sign of use may be of a grant that counts as used:
// it is noted by the hour, and a look takes its time.
const usedWithin = 2 * time.Hour

// Renew gives a grant that is in use its time again. spec is that of the policy as
// it is now. It reports whether it did.
func Renew(g *v1alpha1.PullAccessGrant, spec v1alpha1.LifetimeSpec, now time.Time) bool {
	used := g.Status.Usage.LastUsedTime
	if spec.Renew != v1alpha1.RenewWhileUsed || spec.ExpireAfter == nil || g.Status.Lifetime.ExpireTime == nil ||
		g.Status.Usage.UnusedSinceTime != nil || used == nil || now.Sub(used.Time) > usedWithin {
		return false
	}
	expires := metav1.NewTime(now.Add(spec.ExpireAfter.Duration))
	if !g.Status.Lifetime.ExpireTime.Before(&expires) {
		return false
	}
	g.Status.Lifetime.ExpireTime = &expires
	Note(g, v1alpha1.HistoryRenewed, message.Renewed(expires.Time), now)
	Summarise(g)
	return true
}
