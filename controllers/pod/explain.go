// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/events"
	"github.com/pull-access/pull-access-operator/internal/explanation"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/metrics"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

// explain emits the explanation of the failure as an Event on the pod, once for each change
// of the answer.
func (r *Reconciler) explain(ctx context.Context, pod *corev1.Pod, failure pullfailure.Failure, in explanation.Input) {
	in.Created, in.Now = pod.CreationTimestamp.Time, r.Clock.Now()
	e := explanation.Of(in)
	if !r.memory.changed(pod, failure, e.Key()) {
		return
	}
	if !e.Progresses() {
		values := []any{
			"Pod", klog.KObj(pod), "container", failure.Container, "cause", in.Diagnosis.Facts.Cause.Cause,
			"evidence", in.Diagnosis.Facts.Cause.Evidence, "reason", e.Reason, "actor", e.Actor,
		}
		if in.Refusal != nil {
			values = append(values, "policy", in.Refusal.Policy, "field", in.Refusal.Field)
		}
		log.FromContext(ctx).V(1).Info("Denied a grant", values...)
	}
	events.Explained(r.Recorder, pod, failure.Container, in.Record, e)
	count(e)
}

// count counts the decision that the explanation reports. A pod that waits for propagation
// needs no further decision.
func count(e explanation.Explanation) {
	switch e.Reason {
	case v1alpha1.ReasonWaitingForPropagation, v1alpha1.ReasonApproved:
	case explanation.ReasonAccessRequested:
		metrics.Decision(metrics.OutcomeGrant, v1alpha1.ReasonPolicyEnforces)
	case v1alpha1.ReasonWaitingForApproval:
		metrics.Decision(metrics.OutcomeAsk, e.Reason)
	case v1alpha1.ReasonDryRun:
		metrics.Decision(metrics.OutcomeDryRun, e.Reason)
	default:
		metrics.Decision(metrics.OutcomeRefuse, e.Reason)
	}
}

// recordOf returns the grant on record for the repository and the account of the diagnosis,
// nil if none exists or if one of both is unknown.
func (r *Reconciler) recordOf(ctx context.Context, d diagnosis.Diagnosis) (*v1alpha1.PullAccessGrant, error) {
	repository, member := d.Facts.Reference.Repository, d.Facts.Puller.Member()
	if repository.IsZero() || member == "" {
		return nil, nil
	}
	g := &v1alpha1.PullAccessGrant{}
	if err := r.Client.Get(ctx, client.ObjectKey{Name: decision.GrantName(repository, member)}, g); err != nil {
		if client.IgnoreNotFound(err) == nil {
			return nil, nil
		}
		return nil, fmt.Errorf("read grant: %w", err)
	}
	if imageref.Of(g.Spec.Repository) != repository || !iampolicy.SameMember(g.Spec.Member, member) {
		return nil, nil
	}
	return g, nil
}
