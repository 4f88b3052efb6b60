// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package facts reads from the cluster and the cloud what a diagnosis and a
// decision rest on, for the operator and the command line alike.
//
// It comes between the cause and the judgement. It judges nothing and changes
// nothing; what it cannot read it hands on as unknown.
package facts

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

// Cloud is what the observer reads from Google Cloud. What can't be read comes
// back as unknown, with the obstacle; each answer may be as old as its cache allows.
type Cloud interface {
	// NodeAccount reads as whom a node pulls. It leaves all that is not of the cloud empty.
	NodeAccount(ctx context.Context, node diagnosis.Node) diagnosis.Puller
	// Repository reads whether the repository is there, and of what kind.
	Repository(ctx context.Context, repository imageref.Repository) diagnosis.Repository
	// Access reads whether the repository's own policy lets the member pull.
	Access(ctx context.Context, repository imageref.Repository, member string) diagnosis.Access
	// ProjectAccess reads whether the policy of the repository's project does.
	ProjectAccess(ctx context.Context, repository imageref.Repository, member string) diagnosis.Access
	// Overall asks what all policies come to, where that may be asked.
	Overall(ctx context.Context, repository imageref.Repository, member string) diagnosis.Overall
	// Content reads whether the repository holds the image.
	Content(ctx context.Context, image imageref.Image) diagnosis.Content
}

// Observer reads the facts of a failure. It is safe for concurrent use.
type Observer struct {
	// Client reads namespaces, policies and grants; it may be a cache.
	Client client.Reader
	// Live reads what is of interest for failing pods only.
	Live client.Reader
	// Secrets reads pull secrets; nil if they are not to be read.
	Secrets client.Reader
	// Cluster is the GKE cluster that is looked at; zero if it is not known.
	Cluster diagnosis.Cluster
	// Cloud is Google Cloud; nil if it is not to be asked.
	Cloud Cloud
	Nodes *workload.Nodes
	Clock clock.PassiveClock

	// accounts remembers which Kubernetes service accounts pull for their pods,
	// secrets which pull secrets have a credential.
	accounts, secrets *cache.LRUExpireCache
}

// New completes an observer.
func New(o Observer) *Observer {
	o.accounts = cache.NewLRUExpireCacheWithClock(accountsKept, o.Clock)
	o.secrets = cache.NewLRUExpireCacheWithClock(secretsKept, o.Clock)
	return &o
}

// Observe makes every read that the failure is worth, and none that it is not:
// most failures are settled by their text.
func (o *Observer) Observe(ctx context.Context, pod *corev1.Pod, failure pullfailure.Failure, cause pullfailure.Verdict) (decision.Input, error) {
	facts := diagnosis.Facts{
		Cause: cause, Namespace: pod.Namespace, Pod: pod.Name, Image: failure.Image, Sandbox: failure.Role == pullfailure.Sandbox,
	}
	facts.Puller.Node = pod.Spec.NodeName
	facts.Puller.Account = accountOf(pod)
	facts.Puller.Secrets = named(pod)
	facts.Reference, facts.ReferenceErr = imageref.Parse(failure.Image)
	in := decision.Input{Pod: decision.Pod{Namespace: pod.Namespace, Labels: pod.Labels}}
	if need := diagnosis.Needs(facts); need.Any() {
		if err := o.read(ctx, pod, need, &facts); err != nil {
			return in, err
		}
	}
	in.Diagnosis = diagnosis.Diagnose(facts)
	if in.Diagnosis.Help != diagnosis.HelpYes {
		return in, nil // No policy is asked.
	}
	return in, o.policies(ctx, &in)
}

// policies reads what a decision needs beyond the diagnosis.
func (o *Observer) policies(ctx context.Context, in *decision.Input) error {
	var err error
	if in.Pod.NamespaceLabels, in.Pod.NamespaceLabelsOmitted, err = workload.NamespaceLabels(ctx, o.Client, in.Pod.Namespace); err != nil {
		return err
	}
	var policies v1alpha1.PullAccessPolicyList
	if err := o.Client.List(ctx, &policies); err != nil {
		return fmt.Errorf("list policies: %w", err)
	}
	in.Policies = policies.Items
	return nil
}
