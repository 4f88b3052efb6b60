// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package failure

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/metrics"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
	"github.com/pull-access/pull-access-operator/internal/record"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

// observe makes every read that a decision on the failure needs, and none that
// it does not: the cloud is asked only when text and image leave a grant possible.
func (r *Reconciler) observe(ctx context.Context, pod *corev1.Pod, failure pullfailure.Failure) (decision.Input, error) {
	facts := diagnosis.Facts{Cause: r.cause(pod, failure), Image: failure.Image}
	facts.Reference, facts.ReferenceErr = imageref.Parse(failure.Image)
	in := decision.Input{Pod: decision.Pod{Namespace: pod.Namespace, Labels: pod.Labels}}
	if diagnosis.Settled(facts) {
		in.Diagnosis = diagnosis.Diagnose(facts)
		return in, nil
	}
	if err := r.observeCluster(ctx, pod, &in); err != nil {
		return in, err
	}
	puller, err := r.observePuller(ctx, pod)
	if err != nil {
		return in, err
	}
	facts.Puller = puller
	if member := puller.Member(); member != "" {
		if err := r.observeRepository(ctx, &facts); err != nil {
			return in, err
		}
	}
	in.Diagnosis = diagnosis.Diagnose(facts)
	return in, nil
}

// cause reads the text, and falls back on what an earlier text of this container
// said: a back-off alone carries no cause, and the two alternate.
func (r *Reconciler) cause(pod *corev1.Pod, failure pullfailure.Failure) pullfailure.Verdict {
	verdict := pullfailure.Classify(pullfailure.Text{Message: failure.Message, Image: failure.Image, Reason: failure.Reason})
	verdict, isNew := r.memory.cause(pod, failure, verdict)
	if isNew {
		metrics.PullFailure(string(verdict.Cause))
	}
	return verdict
}

func (r *Reconciler) observeCluster(ctx context.Context, pod *corev1.Pod, in *decision.Input) error {
	var err error
	if in.Pod.NamespaceLabels, err = workload.NamespaceLabels(ctx, r.Client, pod.Namespace); err != nil {
		return err
	}
	var policies v1alpha1.PullAccessPolicyList
	if err := r.Client.List(ctx, &policies); err != nil {
		return fmt.Errorf("list policies: %w", err)
	}
	in.Policies = policies.Items
	return nil
}

// settleAfter is how long the record of our own write counts for more than what
// the cloud was last seen to say: reads may have begun before the write.
const settleAfter = time.Minute

// spreadsWithin is longer than a change of IAM takes to spread: typically 2
// minutes, at times 7 or more.
// https://cloud.google.com/iam/docs/access-change-propagation
const spreadsWithin = 15 * time.Minute

// observeRepository reads the repository, and whether the puller is let in and
// by whom. The operator's own grant is known from its record.
func (r *Reconciler) observeRepository(ctx context.Context, facts *diagnosis.Facts) error {
	repository, member := facts.Reference.Repository, facts.Puller.Member()
	facts.Repository = r.Cloud.Repository(ctx, repository)
	var own v1alpha1.PullAccessGrant
	err := r.Client.Get(ctx, client.ObjectKey{Name: decision.GrantName(repository, member)}, &own)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("read grant: %w", err)
	}
	granted := own.Status.GrantedTime
	ours := own.DeletionTimestamp == nil && record.Granted(&own) && granted != nil
	if ours && r.Clock.Since(granted.Time) < settleAfter {
		facts.OwnGrant, facts.Access = own.Name, diagnosis.Access{State: diagnosis.Present, Role: iampolicy.Role}
		return nil
	}
	facts.Access = r.Cloud.Access(ctx, repository, member)
	// What is there after an intent of ours is ours, also while its record is still to come.
	begun := own.DeletionTimestamp == nil && record.Interrupted(&own) && facts.Access.State == diagnosis.Present
	if ours || begun {
		facts.OwnGrant = own.Name
		facts.OwnGrantSettled = ours && r.Clock.Since(granted.Time) > spreadsWithin
	}
	return nil
}
