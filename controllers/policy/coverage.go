// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"fmt"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

// covered is what a policy covers in the cluster, as numbers.
type covered struct{ namespaces, accounts int }

// coverage returns what the status says about the coverage.
func coverage(access access, covered covered) v1alpha1.PolicyCoverage {
	count := func(n int) *int32 { return ptr.To(int32(n)) }
	return v1alpha1.PolicyCoverage{
		SelectedNamespaces: count(covered.namespaces), SeenAccounts: count(covered.accounts),
		ListedRepositories: count(access.listed), ReadableRepositories: count(access.listed - len(access.unreadable)),
	}
}

// gatherCoverage counts the namespaces and accounts that the policy covers.
func (r *Reconciler) gatherCoverage(ctx context.Context, policy *v1alpha1.PullAccessPolicy) (covered, error) {
	var found covered
	selector, err := metav1.LabelSelectorAsSelector(policy.Spec.NamespaceSelector)
	if err != nil {
		selector = labels.Nothing() // Ready says so.
	}
	namespaces := &metav1.PartialObjectMetadataList{}
	namespaces.SetGroupVersionKind(workload.NewNamespaceMetadata().GroupVersionKind())
	// The list is only read here, and large clusters have many namespaces.
	if err := r.Client.List(ctx, namespaces, client.UnsafeDisableDeepCopy); err != nil {
		return covered{}, fmt.Errorf("list namespaces: %w", err)
	}
	for i := range namespaces.Items {
		if set, omitted := workload.SelectableLabels(&namespaces.Items[i]); !omitted && selector.Matches(labels.Set(set)) {
			found.namespaces++
		}
	}
	var records v1alpha1.PullAccessGrantList
	if err := r.Client.List(ctx, &records, client.UnsafeDisableDeepCopy); err != nil {
		return covered{}, fmt.Errorf("list grants: %w", err)
	}
	for i := range records.Items {
		r.accounts.add(records.Items[i].Spec.Member)
	}
	found.accounts = r.accounts.count(func(email string) bool { return decision.ListsAccount(policy, email) })
	return found, nil
}

// maxAccounts limits the accounts that are remembered.
const maxAccounts = 4096

// accounts are the service accounts seen since the operator started: of nodes whose pods
// cannot pull, and of grants. They may be lost with the process.
type accounts struct {
	mu   sync.Mutex
	seen sets.Set[string]
}

func newAccounts() *accounts { return &accounts{seen: sets.New[string]()} }

// add remembers the account of an IAM member.
func (a *accounts) add(member string) {
	email, ok := v1alpha1.EmailOf(member)
	a.mu.Lock()
	defer a.mu.Unlock()
	if ok && len(a.seen) < maxAccounts {
		a.seen.Insert(email)
	}
}

// count returns the number of accounts that match.
func (a *accounts) count(match func(email string) bool) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for email := range a.seen {
		if match(email) {
			n++
		}
	}
	return n
}
