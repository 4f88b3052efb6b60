// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/message"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

// view is what was seen of one workload.
type view struct {
	// gone: it does not exist any more.
	gone bool
	// live is the workload itself.
	live workload.Live
	// idle: it exists and wants no pods.
	idle bool
	// stuck are its pods that cannot pull from the grant's repository.
	stuck []*corev1.Pod
	// failing names those of them, and the others that fail, that the cache has.
	failing string
	// other is why its pods cannot pull where it no longer is access that they lack.
	other pullfailure.Cause
	// unclear: a pod of it cannot pull for a reason that will pass, or that the text
	// does not tell; what it lacks shows at its next try.
	unclear bool
	// large: a pod of it that cannot pull is too large for the cache, so it is never among the stuck ones.
	large bool
	// started: a pod of it, on a node of the grant's member, has started a
	// container of the repository since the grant was asked for.
	started bool
	// pulled: one of those was there before the grant, so that it must have pulled.
	pulled bool
	// covered: its policy still is in force for it.
	covered bool
	// lastAct is when it was last restarted, by whomever and for whichever grant; zero
	// if that is not on record.
	lastAct time.Time
	// leave says why it is left to the kubelet, "" when it may be restarted.
	leave string
	// spec is its policy's, with every field set.
	spec restartSpec
}

type restartSpec struct {
	strategy    v1alpha1.RestartStrategy
	delay       time.Duration
	maxAttempts int32
	cooldown    time.Duration
}

// firstDistance is how long the second restart waits after the first; every
// further one waits twice as long as the one before. IAM typically needs 2
// minutes, at times 7, to spread a change:
// https://cloud.google.com/iam/docs/access-change-propagation
const firstDistance = 5 * time.Minute

// A workload that neither is stuck nor has started is looked at again, should no
// event of its pods bring us back before: after lookAgain at first, then ever
// later, and no more when that has lasted for lookFor.
const (
	lookAgain = 15 * time.Second
	lookFor   = time.Hour
)

// plan is the judgement on one workload: what its record becomes, and when to
// come back (0: only when something happens). It is pure, and says Restarting
// for as long as the recorded restart has to be seen to be done.
func plan(w v1alpha1.WorkloadStatus, v view, g *v1alpha1.PullAccessGrant, now time.Time) (v1alpha1.WorkloadStatus, time.Duration) {
	grant := &g.Status
	switch {
	case v.gone, v.idle && len(v.stuck) == 0:
		w.State, w.Message = v1alpha1.WorkloadGone, message.WorkloadGone
		return w, 0
	case len(v.stuck) == 0:
		return planQuiet(w, v, grant, now)
	case !v.covered:
		return leave(w, message.PolicyNotInForce(w.Policy)), 0
	case v.leave != "":
		return leave(w, v.leave), 0
	case w.State == v1alpha1.WorkloadStuck:
		return w, 0
	case grantstatus.Ineffective(g) && w.Attempts == 0:
		return leave(w, message.GrantIneffective), 0
	}
	due := dueTime(w, v.spec, grant)
	if rested := v.lastAct.Add(v.spec.cooldown); due.Before(rested) {
		due = rested
	}
	// Pods bear whole seconds: only a restart in a later second than theirs tells them from the pods that replace them.
	if next := newest(v.stuck).Add(time.Second); due.Before(next) {
		due = next
	}
	if now.Before(due) {
		if w.State != v1alpha1.WorkloadRestarting {
			w.State, w.Message = v1alpha1.WorkloadWaiting, ""
		}
		return w, due.Sub(now)
	}
	if w.Attempts > 0 && newest(v.stuck).Before(w.RestartTime.Time) {
		// The pods of the last restart are still to come: another would not help.
		return w, max(lookAgain, now.Sub(w.RestartTime.Time)/4)
	}
	if w.Attempts >= v.spec.maxAttempts {
		w.State, w.Message = v1alpha1.WorkloadStuck, message.WorkloadStuck
		return w, 0
	}
	at := metav1.NewTime(now.Truncate(time.Second))
	w.State, w.Message, w.RestartTime = v1alpha1.WorkloadRestarting, "", &at
	w.Attempts++
	return w, distance(w.Attempts)
}

// planQuiet is for a workload of which no pod lacks access any more.
func planQuiet(w v1alpha1.WorkloadStatus, v view, grant *v1alpha1.PullAccessGrantStatus, now time.Time) (v1alpha1.WorkloadStatus, time.Duration) {
	switch {
	case v.unclear:
		return w, lookAgain
	case v.other != "":
		return leave(w, message.OtherCause(string(v.other))), 0
	case v.large:
		waiting, after := wait(w, grant, now)
		if waiting.State == v1alpha1.WorkloadGone {
			return leave(w, message.PodsTooLarge), 0
		}
		return waiting, after
	case v.started:
		at := metav1.NewTime(now)
		w.State, w.Message, w.RecoveredTime = v1alpha1.WorkloadRecovered, "", &at
		return w, 0
	default:
		return wait(w, grant, now)
	}
}

// wait is for a workload of which nothing fails and nothing has started: it waits
// for a node, or its pods are on their way.
func wait(w v1alpha1.WorkloadStatus, grant *v1alpha1.PullAccessGrantStatus, now time.Time) (v1alpha1.WorkloadStatus, time.Duration) {
	since := grant.GrantedTime
	for _, t := range []*metav1.Time{w.FailingSince, w.RestartTime} {
		if t != nil && since.Before(t) {
			since = t
		}
	}
	waited := now.Sub(since.Time)
	if waited > lookFor {
		w.State, w.Message = v1alpha1.WorkloadGone, message.WorkloadQuiet
		return w, 0
	}
	return w, max(lookAgain, waited/4)
}

func leave(w v1alpha1.WorkloadStatus, why string) v1alpha1.WorkloadStatus {
	w.State, w.Message = v1alpha1.WorkloadLeftToKubelet, why
	return w
}

// dueTime is when the next restart is due: the first when a pull was seen to
// work, or the policy's delay after the grant; a further one after a distance
// that grows, because what did not work now needs time, not repetition. What
// began to fail after a pull had worked most likely comes up at the kubelet's
// next try, and has the policy's delay for it.
func dueTime(w v1alpha1.WorkloadStatus, spec restartSpec, grant *v1alpha1.PullAccessGrantStatus) time.Time {
	if w.Attempts > 0 && w.RestartTime != nil {
		return w.RestartTime.Add(distance(w.Attempts))
	}
	switch effective := grant.EffectiveTime; {
	case effective != nil && w.FailingSince != nil && effective.Before(w.FailingSince):
		return w.FailingSince.Add(spec.delay)
	case effective != nil:
		return effective.Time
	}
	return grant.GrantedTime.Add(spec.delay)
}

// distance is how long after restart n the next one may follow.
func distance(n int32) time.Duration { return firstDistance << (n - 1) }

// newest is when the last of the pods was made.
func newest(pods []*corev1.Pod) time.Time {
	var last time.Time
	for _, pod := range pods {
		if pod.CreationTimestamp.After(last) {
			last = pod.CreationTimestamp.Time
		}
	}
	return last
}

// createdBefore lists the pods that were there before t: what a restart at t replaces.
func createdBefore(pods []*corev1.Pod, t time.Time) []*corev1.Pod {
	var old []*corev1.Pod
	for _, pod := range pods {
		if pod.CreationTimestamp.Time.Before(t) {
			old = append(old, pod)
		}
	}
	return old
}
