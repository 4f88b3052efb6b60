// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

// The demo's manifests, and the names in them.
const (
	policyManifest  = "hack/demo/manifests/policy.yaml"
	healedManifest  = "hack/demo/manifests/checkout.yaml"
	refusedManifest = "hack/demo/manifests/refused.yaml"

	policyName = "prod-services"
	healed     = "checkout"
	mistyped   = "typo"
	fenced     = "ledger"
)

// tableColumns is how much is shown of a line of kubectl's tables.
const tableColumns = 150

// story is what happens on the lab's parts, step by step.
type story struct {
	*lab
	seen *observer
	// before is the access that the repository gave at first.
	before access
}

func newStory(parts *lab) *story { return &story{lab: parts} }

// tell tells the whole story, and fails unless all of it came true.
func (s *story) tell(ctx context.Context) error {
	var err error
	if s.seen, err = observe(ctx, s.client, s.operator.Process, newWorld(s.printer)); err != nil {
		return err
	}
	defer s.seen.close()
	s.before = accessOf(s.cloud, "services")
	for _, chapter := range []func(context.Context) error{
		s.allow, s.heal, s.leaveAlone, s.sumUp, s.verify,
	} {
		if err := chapter(ctx); err != nil {
			return err
		}
	}
	s.good("%s was granted access to one repository, Deployment %s recovered, and nothing else was touched.", nodeAccount, healed)
	return nil
}

// allow is what the platform team does once.
func (s *story) allow(ctx context.Context) error {
	s.step("The platform team allows the operator to open one repository to the nodes")
	if err := s.kubectl(ctx, "apply", "-f", policyManifest); err != nil {
		return err
	}
	return s.seen.until(ctx, "the policy to be in force", func() bool {
		policy := s.seen.policies[policyName]
		return policy != nil && meta.IsStatusConditionTrue(policy.Status.Conditions, v1alpha1.ConditionReady)
	})
}

// heal is the way from the failure to the recovery.
func (s *story) heal(ctx context.Context) error {
	s.step("A team deploys an image that the nodes may not pull")
	if err := s.kubectl(ctx, "apply", "-f", healedManifest); err != nil {
		return err
	}
	return s.seen.until(ctx, "Deployment "+healed+" to recover", func() bool {
		deployment, grant := s.seen.deployments[healed], s.seen.grant()
		return deployment != nil && rolledOut(deployment) &&
			grant != nil && meta.IsStatusConditionTrue(grant.Status.Conditions, v1alpha1.ConditionReady) &&
			s.seen.said(v1alpha1.ReasonRecovered, "Deployment", healed)
	})
}

// leaveAlone is what the operator refuses, and says why.
func (s *story) leaveAlone(ctx context.Context) error {
	s.step("A tag that does not exist, and a repository that no policy lists: nothing is written")
	if err := s.kubectl(ctx, "apply", "-f", refusedManifest); err != nil {
		return err
	}
	return s.seen.until(ctx, "the operator to say why it leaves them alone", func() bool {
		return s.seen.said(string(pullfailure.ImageNotFound), "Pod", mistyped+"-") &&
			s.seen.said(decision.ReasonRepositoryNotListed, "Pod", fenced+"-")
	})
}

// sumUp shows what people find afterwards.
func (s *story) sumUp(ctx context.Context) error {
	s.step("What is left to see")
	for _, args := range [][]string{
		{"get", "pap,pag"},
		{"--namespace=" + shopNamespace, "get", "deployments,pods"},
		{"get", "events", "--all-namespaces", "--field-selector=reportingComponent=" + operatorName, "--sort-by=.metadata.creationTimestamp"},
	} {
		if err := s.show(ctx, args...); err != nil {
			return err
		}
	}
	s.note("IAM policy of repository services, before and after:")
	s.block(diff(s.before, accessOf(s.cloud, "services")))
	for _, w := range writes(s.cloud) {
		s.note("what Cloud Audit Logs would hold: %s on %s, reason %q", w.Method, w.Resource, w.Reason)
	}
	counted, err := s.counted(ctx)
	if err != nil {
		return err
	}
	s.note("what the operator counted, from /metrics:")
	s.block(counted)
	return nil
}

// counted are the operator's own series, without the buckets of histograms.
func (s *story) counted(ctx context.Context) (string, error) {
	client, err := s.cluster.MetricsClient(ctx)
	if err != nil {
		return "", err
	}
	body, err := get(ctx, client, "https://"+s.operator.Metrics+"/metrics")
	if err != nil {
		return "", err
	}
	var own strings.Builder
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, "pullaccess_") && !strings.Contains(line, "_bucket{") && !strings.HasSuffix(line, " 0\n") {
			own.WriteString(line)
		}
	}
	return own.String(), nil
}

// show runs kubectl and prints what it says.
func (s *story) show(ctx context.Context, args ...string) error {
	output, err := s.cluster.Kubectl(ctx, args...)
	if err != nil {
		return err
	}
	s.note("$ kubectl %s", strings.Join(args, " "))
	var table strings.Builder
	for line := range strings.Lines(output) {
		table.WriteString(head(line, tableColumns) + "\n")
	}
	s.block(table.String())
	return nil
}
