// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grantstatus

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/message"
)

// Summarise sets Ready from the rest of the status, and the generation that the status
// describes. Ready names the worst of the other conditions and says what happens next.
func Summarise(g *v1alpha1.PullAccessGrant) {
	g.Status.ObservedGeneration = g.Generation
	status, reason, sentence := summary(g)
	set(g, v1alpha1.ConditionReady, status, reason, sentence)
}

func summary(g *v1alpha1.PullAccessGrant) (metav1.ConditionStatus, string, string) {
	if granted := meta.FindStatusCondition(g.Status.Conditions, v1alpha1.ConditionGranted); granted == nil {
		return metav1.ConditionUnknown, v1alpha1.ReasonGranting, message.NotWritten
	} else if granted.Status != metav1.ConditionTrue {
		return granted.Status, granted.Reason, granted.Message
	}
	if end := g.Status.Ending; end != nil {
		reason := v1alpha1.ReasonRevocationScheduled
		if end.LimitedUntilTime != nil {
			reason = string(v1alpha1.LimitRevocations)
		}
		return metav1.ConditionFalse, reason, EndingSentence(g)
	}
	if effective := meta.FindStatusCondition(g.Status.Conditions, v1alpha1.ConditionEffective); effective != nil && effective.Status == metav1.ConditionFalse {
		return effective.Status, effective.Reason, effective.Message
	}
	count := map[v1alpha1.WorkloadState]int{}
	for i := range g.Status.Workloads {
		count[g.Status.Workloads[i].State]++
	}
	switch {
	case count[v1alpha1.WorkloadStuck] > 0:
		return metav1.ConditionFalse, v1alpha1.ReasonStuck, message.WorkloadsStuck(count[v1alpha1.WorkloadStuck])
	case count[v1alpha1.WorkloadWaiting] > 0:
		return metav1.ConditionFalse, v1alpha1.ReasonWaitingForPropagation, message.WorkloadsWaiting(count[v1alpha1.WorkloadWaiting])
	case count[v1alpha1.WorkloadRestarting] > 0:
		return metav1.ConditionFalse, v1alpha1.ReasonRestarting, message.WorkloadsRestarting(count[v1alpha1.WorkloadRestarting])
	case count[v1alpha1.WorkloadLeftToKubelet] > 0:
		return metav1.ConditionFalse, v1alpha1.ReasonLeftToKubelet, message.WorkloadsLeftToKubelet(count[v1alpha1.WorkloadLeftToKubelet])
	case g.Status.RecoveredWorkloads == 0 && count[v1alpha1.WorkloadRecovered] == 0:
		return metav1.ConditionUnknown, v1alpha1.ReasonNoWorkload, message.NoWorkload
	default:
		return metav1.ConditionTrue, v1alpha1.ReasonRecovered, message.WorkloadsRecovered(int(g.Status.RecoveredWorkloads))
	}
}
