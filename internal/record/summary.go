// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package record

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
	if effective := meta.FindStatusCondition(g.Status.Conditions, v1alpha1.ConditionEffective); effective != nil && effective.Status == metav1.ConditionFalse {
		return effective.Status, effective.Reason, effective.Message
	}
	count := map[v1alpha1.WorkloadState]int{}
	for i := range g.Status.Workloads {
		count[g.Status.Workloads[i].State]++
	}
	switch {
	case count[v1alpha1.WorkloadStuck] > 0:
		return metav1.ConditionFalse, v1alpha1.ReasonIneffective,
			fmt.Sprintf("%d workloads still cannot pull after all restarts; read the events of their pods.", count[v1alpha1.WorkloadStuck])
	case count[v1alpha1.WorkloadWaiting] > 0:
		return metav1.ConditionFalse, v1alpha1.ReasonWaitingForPropagation,
			fmt.Sprintf("Access was granted; %d workloads wait for it to take effect.", count[v1alpha1.WorkloadWaiting])
	case count[v1alpha1.WorkloadRestarting] > 0:
		return metav1.ConditionFalse, v1alpha1.ReasonRestarting,
			fmt.Sprintf("Access was granted; %d workloads were restarted and are coming up.", count[v1alpha1.WorkloadRestarting])
	case count[v1alpha1.WorkloadLeftToKubelet] > 0:
		return metav1.ConditionFalse, v1alpha1.ReasonLeftToKubelet,
			fmt.Sprintf("Access was granted; %d workloads come up at the kubelet's next try, within 5 minutes.", count[v1alpha1.WorkloadLeftToKubelet])
	default:
		return metav1.ConditionTrue, v1alpha1.ReasonRecovered,
			fmt.Sprintf("Access was granted and %d workloads have recovered.", g.Status.RecoveredWorkloads)
	}
}
