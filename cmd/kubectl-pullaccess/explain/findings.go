// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/exit"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/outage"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/source"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/observation"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

// parallel bounds the pods that are looked at at once.
const parallel = 8

// findings diagnoses every failure of the snapshot as the operator does.
func findings(ctx context.Context, observer *observation.Observer, snapshot source.Snapshot) ([]outage.Finding, error) {
	found := make([][]outage.Finding, len(snapshot.Pods))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, p := range snapshot.Pods {
		if p.DeletionTimestamp != nil {
			continue // It will not be tried again.
		}
		events := snapshot.Events[types.NamespacedName{Namespace: p.Namespace, Name: p.Name}]
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

func inPod(ctx context.Context, observer *observation.Observer, p *corev1.Pod, events []*corev1.Event) ([]outage.Finding, error) {
	var found []outage.Finding
	for _, failure := range pullfailure.FromEvents(p, events) {
		cause := pullfailure.Classify(pullfailure.Text{Message: failure.Message, Image: failure.Image, Reason: failure.Reason})
		in, err := observer.Observe(ctx, p, failure, cause)
		if in.Diagnosis.Reason == "" && err != nil {
			return nil, fmt.Errorf("pod %s/%s: %w", p.Namespace, p.Name, err)
		}
		finding := outage.Finding{
			Workload: source.WorkloadOf(p), Pod: p.Name, Container: failure.Container, Diagnosis: in.Diagnosis,
		}
		if err == nil { // Else the policies could not be read, and they are all that is missing.
			finding.Policy = policy(in)
		}
		found = append(found, finding)
	}
	return found, nil
}

// policy says what the policies make of a grant that would help.
func policy(in decision.Input) string {
	if in.Diagnosis.Help != diagnosis.HelpYes {
		return ""
	}
	grant, refusal := decision.Decide(in)
	if refusal == nil {
		return "Policy " + grant.Policy() + " allows the operator to grant it."
	}
	return strings.TrimPrefix(refusal.Sentence, in.Diagnosis.Sentence+" ")
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
