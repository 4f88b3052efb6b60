// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/demand"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/limit"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

// listAccounts has the policy list the accounts of its project.
func listAccounts(e env) {
	e.Helper()
	policy := e.stored()
	policy.Spec.NodeServiceAccounts = []string{"*@acme-prod.iam.gserviceaccount.com"}
	if err := e.Server.Update(e.Context(), policy); err != nil {
		e.Fatal(err)
	}
}

// need is what a pod of Deployment web needs under policy prod in mode DryRun.
func (e env) need(edit func(*demand.Need)) demand.Need {
	need := demand.Need{
		Repository: controllertest.Services, Member: controllertest.Member, Policy: "prod", Mode: v1alpha1.ModeDryRun,
		Workload: controllertest.Workload("Deployment", "web"), Details: demand.Details{Image: controllertest.Image},
	}
	if edit != nil {
		edit(&need)
	}
	return need
}

func (e env) fails(pod string, needs ...demand.Need) {
	e.r.Demand.Set(types.NamespacedName{Namespace: controllertest.Namespace, Name: pod}, needs, time.Time{})
}

func dryRun(s *v1alpha1.PullAccessPolicySpec) { s.Mode = v1alpha1.ModeDryRun }

func TestCoverage(t *testing.T) {
	huge := map[string]string{"env": "prod", "note": strings.Repeat("x", 9<<10)}
	e := newEnv(t, policyOf(func(s *v1alpha1.PullAccessPolicySpec) {
		s.NamespaceSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "env", Operator: metav1.LabelSelectorOpIn, Values: []string{"prod"}}}}
	}), repositories{"services": present, "tools": forbidden})
	listAccounts(e)
	for name, labels := range map[string]map[string]string{"a": {"env": "prod"}, "b": {"env": "prod"}, "c": {"env": "test"}, "d": huge} {
		e.Create(namespace(name, labels))
	}
	e.Create(controllertest.Grant("serviceAccount:batch@acme-prod.iam.gserviceaccount.com"), controllertest.Grant("serviceAccount:other@acme-test.iam.gserviceaccount.com"))
	e.fails("web-1", e.need(func(n *demand.Need) { n.Mode = v1alpha1.ModeEnforce }))
	e.mustPass()
	want := v1alpha1.PolicyCoverage{
		SelectedNamespaces: ptr.To[int32](2), ListedRepositories: ptr.To[int32](2), ReadableRepositories: ptr.To[int32](1), SeenAccounts: ptr.To[int32](2),
	}
	if diff := cmp.Diff(want, e.stored().Status.Coverage); diff != "" {
		t.Errorf("coverage (-want +got):\n%s", diff)
	}
	e.r.Demand.Delete(types.NamespacedName{Namespace: controllertest.Namespace, Name: "web-1"})
	e.mustPass()
	if n := *e.stored().Status.Coverage.SeenAccounts; n != 2 {
		t.Errorf("after the pod was deleted %d accounts were seen, want the same 2", n)
	}
}

func TestAccountsAreBounded(t *testing.T) {
	a := newAccounts()
	a.add("user:ann@example.com")
	for i := range maxAccounts + 10 {
		a.add(fmt.Sprintf("serviceAccount:a%d@acme.iam.gserviceaccount.com", i))
	}
	if n := a.count(func(string) bool { return true }); n != maxAccounts {
		t.Errorf("%d accounts are remembered, want %d", n, maxAccounts)
	}
}

func TestUnreadableNamespacesAreAnError(t *testing.T) {
	e := newEnv(t, policyOf(nil), nil)
	e.Faults.List = func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
		if _, ok := list.(*metav1.PartialObjectMetadataList); ok {
			return errBroken
		}
		return c.List(ctx, list, options...)
	}
	if _, err := e.r.Reconcile(t.Context(), e.stored()); !errors.Is(err, errBroken) || len(e.Writes()) > 0 {
		t.Errorf("Reconcile: %v, writes %v", err, e.Writes())
	}
}

// TestEveryUnreadableRepositoryIsListed: the conditions name the worst one and how many
// there are.
func TestEveryUnreadableRepositoryIsListed(t *testing.T) {
	policy, cloud := policyOf(nil), repositories{}
	policy.Spec.Repositories = nil
	for i := range 40 {
		name := fmt.Sprintf("r%d", i)
		policy.Spec.Repositories = append(policy.Spec.Repositories, v1alpha1.RepositoryPattern{Project: "acme-prod", Location: "us", Name: name})
		cloud[name] = []diagnosis.Repository{unavailable, missing, forbidden, unreadable, present}[i%5]
	}
	e := newEnv(t, policy, cloud)
	e.mustPass()
	got := e.stored().Status.UnreadableRepositories
	if len(got) != v1alpha1.MaxUnreadableRepositories {
		t.Errorf("%d repositories are listed, want %d", len(got), v1alpha1.MaxUnreadableRepositories)
	}
	for i, reason := range []string{v1alpha1.ReasonCloudUnreachable, v1alpha1.ReasonRepositoryNotFound, v1alpha1.ReasonCloudForbidden, v1alpha1.ReasonRepositoryUnreadable} {
		if got[i].Reason != reason || got[i].Repository.Name != fmt.Sprintf("r%d", i) || got[i].Message == "" {
			t.Errorf("entry %d is %+v, want reason %s", i, got[i], reason)
		}
	}
	ready := meta.FindStatusCondition(e.stored().Status.Conditions, v1alpha1.ConditionReady)
	if ready.Reason != v1alpha1.ReasonRepositoryNotFound || !strings.Contains(ready.Message, "of 40 repositories cannot be read") || !strings.Contains(ready.Message, "acme-prod/us/r1") {
		t.Errorf("Ready is %s: %q", ready.Reason, ready.Message)
	}
	for name := range cloud {
		cloud[name] = present
	}
	e.mustPass()
	if left := e.stored().Status.UnreadableRepositories; len(left) > 0 {
		t.Errorf("readable repositories are listed: %+v", left)
	}
}

func TestWouldGrant(t *testing.T) {
	first := metav1.NewTime(now)
	web := controllertest.Workload("Deployment", "web")
	entry := v1alpha1.WouldGrant{
		Repository: controllertest.Services.Record(), Member: controllertest.Member, FirstTime: first,
		Workload: &web, Image: controllertest.Image, Pods: 2,
	}
	for name, tc := range map[string]struct {
		edit func(*demand.Need)
		want []v1alpha1.WouldGrant
		why  string
	}{
		"dry run":            {want: []v1alpha1.WouldGrant{entry}},
		"no mode":            {edit: func(n *demand.Need) { n.Mode = "" }, want: []v1alpha1.WouldGrant{entry}, why: "every mode but Approve and Enforce is DryRun"},
		"another policy":     {edit: func(n *demand.Need) { n.Policy = "other" }},
		"enforced elsewhere": {edit: func(n *demand.Need) { n.Mode, n.Policy = v1alpha1.ModeEnforce, "other" }},
		"enforced before":    {edit: func(n *demand.Need) { n.Mode = v1alpha1.ModeEnforce }, why: "the pod was evaluated under another mode"},
		"not listed":         {edit: func(n *demand.Need) { n.Repository.Name = "other" }},
		"account not listed": {edit: func(n *demand.Need) { n.Member = "serviceAccount:a@acme-test.iam.gserviceaccount.com" }},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, policyOf(dryRun), repositories{"services": present, "tools": present})
			listAccounts(e)
			e.fails("web-1", e.need(tc.edit))
			e.fails("web-2", e.need(tc.edit))
			e.mustPass()
			status := e.stored().Status
			if diff := cmp.Diff(tc.want, status.WouldGrant); diff != "" || *status.WouldGrantCount != int32(len(tc.want)) {
				t.Errorf("wouldGrant (-want +got), count %d:\n%s%s", *status.WouldGrantCount, diff, tc.why)
			}
		})
	}
	t.Run("many", func(t *testing.T) {
		e := newEnv(t, policyOf(func(s *v1alpha1.PullAccessPolicySpec) { dryRun(s); s.Repositories[0].Name = "*" }), nil)
		listAccounts(e)
		for i := range 40 {
			e.fails(fmt.Sprint(i), e.need(func(n *demand.Need) { n.Repository.Name, n.Image = fmt.Sprintf("r%d", i), strings.Repeat("é", 400) }))
			e.Step(time.Second)
		}
		e.mustPass()
		status := e.stored().Status
		if len(status.WouldGrant) != v1alpha1.MaxWouldGrant || *status.WouldGrantCount != 40 || status.WouldGrant[31].Repository.Name != "r31" {
			t.Errorf("%d of %d are listed, the last is %+v", len(status.WouldGrant), *status.WouldGrantCount, status.WouldGrant[31])
		}
		if image := status.WouldGrant[0].Image; len(image) > maxImage {
			t.Errorf("an image has %d bytes", len(image))
		}
	})
}

// TestWouldGrantOutlivesARestart: a new process knows no demand at first. It keeps what is
// listed, and the time, until every pod was evaluated.
func TestWouldGrantOutlivesARestart(t *testing.T) {
	policy := policyOf(dryRun)
	old := v1alpha1.WouldGrant{Repository: controllertest.Services.Record(), Member: controllertest.Member, FirstTime: metav1.NewTime(now.Add(-time.Hour))}
	other := old
	other.Member = "serviceAccount:batch@acme-prod.iam.gserviceaccount.com"
	policy.Status.WouldGrant = []v1alpha1.WouldGrant{old, other}
	e := newEnv(t, policy, repositories{"services": present, "tools": present})
	listAccounts(e)
	count := func(want int, why string) {
		t.Helper()
		e.mustPass()
		if got := e.stored().Status.WouldGrant; len(got) != want || !slices.ContainsFunc(got, func(w v1alpha1.WouldGrant) bool { return w.FirstTime.Equal(&old.FirstTime) }) {
			t.Errorf("listed are %+v, want %d: %s", got, want, why)
		}
	}
	pods := []types.NamespacedName{{Namespace: controllertest.Namespace, Name: "web-1"}, {Namespace: controllertest.Namespace, Name: "web-2"}}
	e.r.Demand.Expect(pods)
	count(2, "no pod was evaluated yet")
	e.fails("web-1", e.need(nil))
	count(2, "one pod was not evaluated yet")
	e.fails("web-2")
	count(1, "no pod needs the other one")
}

// TestChangesWakePolicies: changes of the ledger, of demand in mode DryRun and of namespaces
// wake a policy, and many of them wake it once.
func TestChangesWakePolicies(t *testing.T) {
	e := newEnv(t, policyOf(dryRun), nil)
	e.fails("web-0", e.need(nil)) // The controller does not run yet.
	q := newQueue(t)
	if err := e.r.watchMemory(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	wants := func(want int, why string) {
		t.Helper()
		if got := q.take(); len(got) != want || slices.ContainsFunc(got, func(name string) bool { return name != "prod after 1s" }) {
			t.Errorf("woken are %v, want policy prod %d times in a second: %s", got, want, why)
		}
	}
	wants(0, "nothing has changed")
	e.r.Ledger.Reserve(limit.Act{Policy: limit.Key{Policy: "prod"}, Limit: v1alpha1.LimitGrants}, 1, 1, now)
	wants(1, "the ledger")
	e.fails("web-1", e.need(nil))
	wants(1, "demand in mode DryRun")
	e.fails("web-2", e.need(func(n *demand.Need) { n.Mode = v1alpha1.ModeEnforce }))
	wants(0, "demand in mode Enforce")
	handler := e.r.allPolicies()
	object := workload.NewNamespaceMetadata()
	handler.Create(t.Context(), event.TypedCreateEvent[*metav1.PartialObjectMetadata]{Object: object, IsInInitialList: true}, q)
	wants(0, "the first list")
	handler.Create(t.Context(), event.TypedCreateEvent[*metav1.PartialObjectMetadata]{Object: object}, q)
	wants(1, "a new namespace")
	handler.Update(t.Context(), event.TypedUpdateEvent[*metav1.PartialObjectMetadata]{ObjectOld: object, ObjectNew: object}, q)
	wants(1, "changed labels")
	handler.Delete(t.Context(), event.TypedDeleteEvent[*metav1.PartialObjectMetadata]{Object: object}, q)
	wants(1, "a deleted namespace")
}
