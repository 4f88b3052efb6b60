// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/events"
	"github.com/pull-access/pull-access-operator/internal/message"
	"github.com/pull-access/pull-access-operator/internal/metrics"
)

// tell says what is news between two states of the record.
func (r *Reconciler) tell(ctx context.Context, before, grant *v1alpha1.PullAccessGrant, views map[int]view) {
	for i, v := range views {
		was, is := before.Status.Workloads[i], grant.Status.Workloads[i]
		if was.State == is.State {
			continue
		}
		log.FromContext(ctx).V(1).Info("Workload moved on", "PullAccessGrant", klog.KObj(grant), "kind", is.Kind,
			"workload", klog.KRef(is.Namespace, is.Name), "from", was.State, "to", is.State)
		switch is.State {
		case v1alpha1.WorkloadRecovered:
			events.Recovered(r.Recorder, subject(is, v), grant, is.Workload, grant)
			events.Recovered(r.Recorder, grant, subject(is, v), is.Workload, grant)
			if is.FailingSince != nil {
				metrics.Recovery(is.RecoveredTime.Sub(is.FailingSince.Time))
			}
		case v1alpha1.WorkloadStuck:
			events.Ineffective(r.Recorder, subject(is, v), grant, is.Message+message.SeeGrant(grant.Name))
		case v1alpha1.WorkloadLeftToKubelet:
			events.LeftToKubelet(r.Recorder, subject(is, v), grant, is.Message)
		default:
		}
	}
}

func (r *Reconciler) tellRestart(_ context.Context, grant *v1alpha1.PullAccessGrant, w v1alpha1.WorkloadStatus, v view) {
	events.Restarted(r.Recorder, subject(w, v), grant, w.Workload, grant)
	events.Restarted(r.Recorder, grant, subject(w, v), w.Workload, grant)
}

// subject is what an event about the workload is attached to.
func subject(w v1alpha1.WorkloadStatus, v view) runtime.Object {
	if v.live.Object != nil {
		return v.live.Object
	}
	return &corev1.ObjectReference{Kind: w.Kind, Namespace: w.Namespace, Name: w.Name, UID: w.UID}
}
