// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grantstatus

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// Summarise sets Ready from the rest of the status: it names the worst, and says
// what happens next.
func Summarise(g *v1alpha1.PullAccessGrant) {
	status, reason, message := summary(g)
	set(g, v1alpha1.ConditionReady, status, reason, message)
}

func summary(g *v1alpha1.PullAccessGrant) (metav1.ConditionStatus, string, string) {
	if granted := meta.FindStatusCondition(g.Status.Conditions, v1alpha1.ConditionGranted); granted == nil {
		return metav1.ConditionUnknown, v1alpha1.ReasonGranting, "The grant has not been written yet."
	} else if granted.Status != metav1.ConditionTrue {
		return granted.Status, granted.Reason, granted.Message
	}
	if end := g.Status.Ending; end != nil {
		return metav1.ConditionFalse, v1alpha1.ReasonRevocationScheduled, EndingSentence(end)
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
		return metav1.ConditionFalse, v1alpha1.ReasonStuck,
			fmt.Sprintf("%s cannot pull after all restarts; read the events of its pods.", workloads(count[v1alpha1.WorkloadStuck], "still", "still"))
	case count[v1alpha1.WorkloadWaiting] > 0:
		return metav1.ConditionFalse, v1alpha1.ReasonWaitingForPropagation,
			fmt.Sprintf("Access was granted; %s for it to take effect.", workloads(count[v1alpha1.WorkloadWaiting], "waits", "wait"))
	case count[v1alpha1.WorkloadRestarting] > 0:
		return metav1.ConditionFalse, v1alpha1.ReasonRestarting,
			fmt.Sprintf("Access was granted; %s restarted, and its pods have still to start.", workloads(count[v1alpha1.WorkloadRestarting], "was", "were"))
	case count[v1alpha1.WorkloadLeftToKubelet] > 0:
		return metav1.ConditionFalse, v1alpha1.ReasonLeftToKubelet,
			fmt.Sprintf("Access was granted; %s not restarted, and status.workloads says why.", workloads(count[v1alpha1.WorkloadLeftToKubelet], "is", "are"))
	case g.Status.RecoveredWorkloads == 0 && count[v1alpha1.WorkloadRecovered] == 0:
		return metav1.ConditionUnknown, v1alpha1.ReasonNoWorkload, "Access was granted; no workload on record has used it."
	default:
		return metav1.ConditionTrue, v1alpha1.ReasonRecovered,
			fmt.Sprintf("Access was granted; %s recovered.", workloads(int(g.Status.RecoveredWorkloads), "has", "have"))
	}
}

// workloads counts them, with the verb that goes with the number.
func workloads(n int, one, many string) string {
	if n == 1 {
		return "1 workload " + one
	}
	return fmt.Sprintf("%d workloads %s", n, many)
}
