// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/exit"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/outage"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/source"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/facts"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

// findings diagnoses every failure of the snapshot as the operator does.
func findings(ctx context.Context, observer *facts.Observer, snapshot source.Snapshot) ([]outage.Finding, error) {
	found := make([][]outage.Finding, len(snapshot.Pods))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(source.Parallel)
	for i, p := range snapshot.Pods {
		if p.DeletionTimestamp != nil {
			continue // It will not be tried again.
		}
		events := snapshot.Events[client.ObjectKeyFromObject(p)]
		group.Go(func() (err error) {
			found[i], err = inPod(ctx, observer, p, events)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, exit.Unreached(err)
	}
	var all []outage.Finding
	for _, of := range found {
		all = append(all, of...)
	}
	return all, nil
}

func inPod(ctx context.Context, observer *facts.Observer, p *corev1.Pod, events []*corev1.Event) ([]outage.Finding, error) {
	var found []outage.Finding
	for _, failure := range pullfailure.FromEvents(p, events) {
		in, err := observer.Observe(ctx, p, failure, failure.Classify())
		if in.Diagnosis.Reason == "" && err != nil {
			return nil, fmt.Errorf("pod %s/%s: %w", p.Namespace, p.Name, err)
		}
		finding := outage.Finding{Workload: source.WorkloadOf(p), Pod: p.Name, Container: failure.Container}
		// An error means no more here than that the policies could not be read.
		found = append(found, withPolicies(finding, in, err == nil))
	}
	return found, nil
}

// withPolicies adds the diagnosis, and what the policies make of a grant that would
// help. The operator acts where one allows it; where none does, or only once a person
// has approved, or none was read, people must. An access that was granted already
// spreads and is tried by itself.
func withPolicies(finding outage.Finding, in decision.Input, read bool) outage.Finding {
	finding.Diagnosis, finding.Actor = in.Diagnosis, in.Diagnosis.Actor
	if in.Diagnosis.Help != diagnosis.HelpYes {
		return finding
	}
	finding.Actor = diagnosis.PlatformTeam
	if in.Diagnosis.Reason == diagnosis.WaitingForPropagation {
		finding.Actor = diagnosis.Nobody
	}
	if !read {
		return finding
	}
	grant, refusal := decision.Decide(in)
	if refusal != nil {
		finding.Policy, finding.Diagnosis.Command = refusal.Why, refusal.Command
		return finding
	}
	finding.Actor, finding.Policy = diagnosis.Operator, "Policy "+grant.Policy()+" allows the operator to grant it."
	if grant.Mode() == v1alpha1.ModeApprove && in.Diagnosis.Reason != diagnosis.WaitingForPropagation {
		finding.Actor = diagnosis.PlatformTeam
		finding.Policy = "Policy " + grant.Policy() + " allows it once a person has approved (kubectl pullaccess grants --waiting)."
	}
	return finding
}

// tolerant reads the cluster for somebody who may not see the operator's own
// records: where they cannot be read, there are none to go by.
type tolerant struct{ client.Reader }

// Get reads an object.
func (t tolerant) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	err := t.Reader.Get(ctx, key, object, options...)
	if _, ok := object.(*v1alpha1.PullAccessGrant); ok && apierrors.IsForbidden(err) {
		return apierrors.NewNotFound(schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "pullaccessgrants"}, key.Name)
	}
	return err
}
