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
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/exit"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/outage"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/source"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/explanation"
	"github.com/pull-access/pull-access-operator/internal/facts"
	"github.com/pull-access/pull-access-operator/internal/message"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

// finder explains the failures of a snapshot as the operator does.
type finder struct {
	observer *facts.Observer
	snapshot source.Snapshot
	records  records
	// offline reports that the snapshot comes from files.
	offline bool
	clock   clock.PassiveClock
}

// findings explains every failure of the snapshot.
func (f *finder) findings(ctx context.Context) ([]outage.Finding, error) {
	pods := f.snapshot.Pods
	found := make([][]outage.Finding, len(pods))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(source.Parallel)
	for i, p := range pods {
		if p.DeletionTimestamp != nil {
			continue // It will not be tried again.
		}
		group.Go(func() (err error) {
			found[i], err = f.inPod(ctx, p)
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

func (f *finder) inPod(ctx context.Context, p *corev1.Pod) ([]outage.Finding, error) {
	var found []outage.Finding
	for _, failure := range pullfailure.FromEvents(p, f.snapshot.Events[client.ObjectKeyFromObject(p)]) {
		in, err := f.observer.Observe(ctx, p, failure, failure.Classify())
		if in.Diagnosis.Reason == "" && err != nil {
			return nil, fmt.Errorf("pod %s/%s: %w", p.Namespace, p.Name, err)
		}
		// An error means no more here than that the policies were not read.
		finding := f.finding(p, failure.Container, in, err == nil)
		if e := &finding.Explanation; !f.offline && apierrors.IsForbidden(err) && e.Reason == string(diagnosis.AccessMissing) {
			e.NextStep = message.ListPoliciesCommand // One of them may deny the access.
		}
		found = append(found, finding)
	}
	return found, nil
}

// finding explains one failure. policiesRead is false if the policies are unknown.
func (f *finder) finding(p *corev1.Pod, container string, in decision.Input, policiesRead bool) outage.Finding {
	d := in.Diagnosis
	found := outage.Finding{Workload: source.WorkloadOf(p), Pod: p.Name, Container: container, Diagnosis: d}
	of := explanation.Input{Diagnosis: d, Created: p.CreationTimestamp.Time, Now: f.clock.Now()}
	of.Record = f.records.of(d.Facts, found.Workload)
	if policiesRead && d.Help == diagnosis.HelpYes {
		of.Grant, of.Refusal = decision.Decide(in)
		found.Policy = policyOf(of)
	}
	found.Explanation = explanation.Of(of)
	if isOpen(of) && found.Explanation.Reason == string(d.Reason) {
		if reported, ok := f.reported(p, container, d); ok {
			found.Explanation = reported
		}
	}
	return found
}

// policyOf says what the policies make of a grant that helps.
func policyOf(in explanation.Input) string {
	switch {
	case in.Refusal != nil:
		return in.Refusal.Why
	case in.Grant.Mode() == v1alpha1.ModeApprove:
		return "Policy " + in.Grant.Policy() + " allows it after an approval (kubectl pullaccess grants --waiting)."
	default:
		return "Policy " + in.Grant.Policy() + " allows the operator to grant it."
	}
}

// isOpen reports whether a fact is missing that the operator may know.
func isOpen(in explanation.Input) bool {
	switch in.Diagnosis.Help {
	case diagnosis.HelpYes:
		return in.Grant == nil && in.Refusal == nil
	case diagnosis.HelpUnknown:
		return true
	default:
		return false
	}
}

// reported returns the explanation in the operator's latest Event about the container.
func (f *finder) reported(p *corev1.Pod, container string, d diagnosis.Diagnosis) (explanation.Explanation, bool) {
	event := f.snapshot.Reported(p, container)
	if event == nil {
		return explanation.Explanation{}, false
	}
	e, ok := explanation.FromNote(event.Reason, event.Message)
	switch {
	case !ok:
		return e, false
	case e.Reason == decision.ReasonNoPolicy && d.Help == diagnosis.HelpYes:
		e.NextStep = d.Command // The facts confirm what it grants.
	case e.Actor == "":
		e.Actor = d.Actor
	}
	return e, true
}

// tolerant reads the cluster for somebody who may not read the operator's records. Where
// they cannot be read, none are taken into account.
type tolerant struct{ client.Reader }

// Get reads an object.
func (t tolerant) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	err := t.Reader.Get(ctx, key, object, options...)
	if _, ok := object.(*v1alpha1.PullAccessGrant); ok && apierrors.IsForbidden(err) {
		return apierrors.NewNotFound(schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "pullaccessgrants"}, key.Name)
	}
	return err
}
