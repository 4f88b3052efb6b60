// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package message

import (
	"fmt"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

const (
	// WorkloadGone says that the workload runs no pods.
	WorkloadGone = "It no longer exists, or is scaled to zero."
	// WorkloadQuiet says that the operator stops observing the workload.
	WorkloadQuiet = "None of its pods has failed for an hour, and none has started."
	// WorkloadStuck says that the operator restarts the workload no more.
	WorkloadStuck = "Its pods still cannot pull after the last restart."
	// GrantIneffective says that the operator does not restart the workload, because earlier
	// restarts for the grant did not help.
	GrantIneffective = "The grant has stayed without effect on others, so nothing more is restarted for it until a pull is seen to work."
	// PodsTooLarge says that the operator does not restart the workload, because it does not
	// cache its pods.
	PodsTooLarge = "Its pods are too large for the operator to keep; the kubelet retries their pulls."
	// RolloutsPaused says that the operator does not restart a paused workload.
	RolloutsPaused = "Its rollouts are paused; the kubelet retries its pulls at most 5 minutes apart."
	// SelectorMismatch says that the operator does not restart the workload, because its
	// selector does not match its pods.
	SelectorMismatch = "Its selector does not select the pods that name it as their owner."
)

// Restart is the history's entry for a restart.
func Restart(w v1alpha1.Workload, attempt int32) string {
	return fmt.Sprintf("%s %s/%s, attempt %d.", w.Kind, w.Namespace, w.Name, attempt)
}

// RestartRejected says that the API server rejected the restart. The caller removes control
// characters, because the error may quote other texts.
func RestartRejected(err string) string { return "The API server refuses the restart: " + err }

// PolicyNotInForce says that the operator does not restart the workload, because the policy
// does not cover it any more.
func PolicyNotInForce(policy string) string {
	return "Policy " + policy + " is not in force for it any more."
}

// RestartNotApproved says that the operator does not restart the workload, because nobody
// approved the grant under the policy.
func RestartNotApproved(policy string) string {
	return "Policy " + policy + " asks a person first, and none has approved this grant under it; the kubelet retries its pulls at most 5 minutes apart."
}

// RestartsOff says that the policy restarts no workload.
func RestartsOff(policy string) string {
	return "Policy " + policy + " restarts nothing; the kubelet retries its pulls at most 5 minutes apart."
}

// KindNotRestarted says that the operator restarts no workload of the kind.
func KindNotRestarted(kind string) string {
	return "A " + kind + " is not restarted; the kubelet retries its pulls at most 5 minutes apart."
}

// OtherCause says that the workload's pods fail for another cause.
func OtherCause(cause string) string {
	return "Its pods now fail for another reason (" + cause + "); read their events."
}

// SeeGrant follows the sentence of a stuck workload, and names the grant that says more.
func SeeGrant(grant string) string {
	return " PullAccessGrant " + grant + " says what else can block it."
}
