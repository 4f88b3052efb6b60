// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
	"github.com/pull-access/pull-access-operator/internal/decision"
)

// TestTransientErrorsAreNoFacts makes each of Google's calls fail once. The operator retries at once, reports no unknown fact,
// and requeues no pod.
func TestTransientErrorsAreNoFacts(t *testing.T) {
	for name, fault := range map[string]gcpemulator.Fault{
		"unavailable": {HTTPStatus: http.StatusServiceUnavailable},
		"quota":       {HTTPStatus: http.StatusTooManyRequests},
		"broken-off":  {Reset: true},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.start(t, node{name: "flaky", backoff: slow})
			s := l.site(t, "transient-"+name, nodeProject)
			calls := map[string]string{"instances.get": "/instances/flaky", "GetRepository": s.resource(), "GetIamPolicy": s.resource()}
			for fault.Method, fault.Match = range calls {
				fault.Times = 1
				l.cloud.InjectFault(fault)
			}
			l.operator(t) // A new operator has empty caches.
			create(t, s.policy(), s.deployment("flaky", 1))
			grant := &v1alpha1.PullAccessGrant{}
			eventually(t, "the pods run, or a fact is unknown", func(ctx context.Context) (bool, any) {
				err := shared.client.Get(ctx, client.ObjectKey{Name: decision.GrantName(s.repository, s.member())}, grant)
				return err == nil && healed(grant) || len(s.unknownFacts(ctx)) > 0, []any{err, grant.Status}
			})
			if told := s.unknownFacts(t.Context()); len(told) > 0 {
				t.Fatalf("the operator told that facts are unknown: %q", told)
			}
			for method, resource := range calls {
				if got, want := s.statuses(method, resource), []int{fault.HTTPStatus, http.StatusOK}; len(got) < 2 || !slices.Equal(got[:2], want) {
					t.Errorf("%s was answered %v, want %v first", method, got, want)
				}
			}
			s.wantRestarts(t, 1)
		})
	}
}

// unknownFacts returns the operator's Events on the site's pods and policy that report an
// unknown fact.
func (s *site) unknownFacts(ctx context.Context) []string {
	unknown := []string{"PullerUnknown", "RepositoryUnreadable", "AccessUnreadable", v1alpha1.ReasonCloudUnreachable}
	var told []string
	for _, e := range slices.Concat(operatorEvents(ctx, s.namespace), operatorEvents(ctx, "default")) {
		if slices.Contains(unknown, e.Reason) && (e.Regarding.Namespace == s.namespace || e.Regarding.Name == s.namespace) {
			told = append(told, e.Reason+": "+e.Note)
		}
	}
	return told
}

// statuses returns the HTTP codes of the calls of one method on a resource, 0 for calls without a
// response.
func (s *site) statuses(method, resource string) []int {
	var statuses []int
	for _, r := range s.cloud.Requests() {
		if r.Method == method && strings.Contains(r.Resource, resource) {
			statuses = append(statuses, r.Status)
		}
	}
	return statuses
}
