// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package demand

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

var (
	start    = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	services = imageref.Repository{Project: "acme-images-306", Location: "us-central1", Name: "services"}
	tools    = imageref.Repository{Project: "acme-images-306", Location: "us-central1", Name: "tools"}
)

const account = "serviceAccount:gke-nodes@acme-prod-417.iam.gserviceaccount.com"

func newStore() (*Store, *clocktesting.FakeClock) {
	clock := clocktesting.NewFakeClock(start)
	return New(clock), clock
}

func podNamed(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: "shop", Name: name}
}

func needOf(repository imageref.Repository, edits ...func(*Need)) Need {
	need := Need{
		Repository: repository, Member: account, Policy: "prod", Mode: v1alpha1.ModeEnforce,
		Workload: v1alpha1.Workload{Kind: "Deployment", Namespace: "shop", Name: "web"},
	}
	for _, edit := range edits {
		edit(&need)
	}
	return need
}

func never() time.Time { return time.Time{} }

// claimsOf lists the pods that need the grant on the repository, in their order.
func claimsOf(s *Store, repository imageref.Repository) string {
	d, _ := s.Of(needOf(repository).Grant())
	var pods []string
	for _, claim := range d.Claims {
		pods = append(pods, claim.Pod.Name)
	}
	return strings.Join(pods, " ")
}

func TestSet(t *testing.T) {
	s, clock := newStore()
	s.Set(podNamed("b"), []Need{needOf(services)}, never())
	clock.Step(time.Second)
	s.Set(podNamed("a"), []Need{needOf(services), needOf(services), needOf(tools)}, never())
	if got := claimsOf(s, services); got != "b a" {
		t.Errorf("services is needed by %q, want the first pod first and each once", got)
	}
	clock.Step(time.Second)
	s.Set(podNamed("b"), []Need{needOf(services, func(n *Need) { n.Image = "x" })}, never())
	d, ok := s.Of(needOf(services).Grant())
	if !ok || d.Claims[0].Since != start || d.Image != "x" || d.Member != account || d.Repository != services {
		t.Errorf("Of = %+v, %v; a pod that is evaluated again keeps its place, and the details are the latest", d, ok)
	}
	s.Set(podNamed("a"), []Need{needOf(services)}, never())
	if _, ok := s.Of(needOf(tools).Grant()); ok {
		t.Error("tools is still needed by a pod whose evaluation did not name it again")
	}
	s.Delete(podNamed("a"))
	s.Delete(podNamed("b"))
	s.Delete(podNamed("b"))
	if _, ok := s.Of(needOf(services).Grant()); ok || s.all != 0 || len(s.inNamespace)+len(s.pods)+len(s.grants) != 0 {
		t.Errorf("something is left of deleted pods: %+v", s)
	}
}

func TestExpiry(t *testing.T) {
	s, clock := newStore()
	s.Set(podNamed("running"), []Need{needOf(services)}, start.Add(10*time.Minute))
	s.Set(podNamed("pending"), []Need{needOf(services)}, never())
	clock.Step(10*time.Minute - time.Second)
	if got := claimsOf(s, services); got != "pending running" {
		t.Errorf("needed by %q before the expiry", got)
	}
	clock.Step(time.Second)
	if got := claimsOf(s, services); got != "pending" {
		t.Errorf("needed by %q after the expiry", got)
	}
	s.Set(podNamed("pending"), []Need{needOf(services)}, clock.Now().Add(time.Minute))
	clock.Step(time.Minute)
	if all := s.All(func(imageref.Repository, string) bool { return true }); len(all) != 0 || s.all != 0 || len(s.pods) != 0 {
		t.Errorf("All = %+v after everything expired", all)
	}
}

func TestAll(t *testing.T) {
	s, _ := newStore()
	s.Set(podNamed("a"), []Need{needOf(services), needOf(tools)}, never())
	all := s.All(func(imageref.Repository, string) bool { return true })
	if len(all) != 2 {
		t.Fatalf("All = %+v", all)
	}
	only := s.All(func(r imageref.Repository, member string) bool { return r == tools && member == account })
	if len(only) != 1 || only[0].Repository != tools {
		t.Errorf("All of one repository = %+v", only)
	}
}

func TestWatch(t *testing.T) {
	s, _ := newStore()
	var seen []string
	s.Watch(func(n Need) { seen = append(seen, n.Repository.Name+" "+n.Policy) })
	tests := []struct {
		needs []Need
		want  []string
		why   string
	}{
		{[]Need{needOf(services)}, []string{"services prod"}, "a new need"},
		{[]Need{needOf(services)}, nil, "nothing changed"},
		{[]Need{needOf(services, func(n *Need) { n.Policy = "other" })}, []string{"services prod"}, "another policy"},
		{[]Need{needOf(services, func(n *Need) { n.Policy = "other" }), needOf(tools)}, []string{"tools prod"}, "one more"},
		{nil, []string{"services other", "tools prod"}, "none any more"},
	}
	for _, tc := range tests {
		seen = nil
		s.Set(podNamed("a"), tc.needs, never())
		if slices.Sort(seen); !slices.Equal(seen, tc.want) {
			t.Errorf("%s: told of %q, want %q", tc.why, seen, tc.want)
		}
	}
}

func TestAbsentSince(t *testing.T) {
	s, clock := newStore()
	name := needOf(services).Grant()
	if _, ok := s.AbsentSince(name); ok {
		t.Error("absent before the first list is known")
	}
	s.Expect([]types.NamespacedName{podNamed("a"), podNamed("b")})
	clock.Step(time.Second)
	s.Set(podNamed("a"), []Need{needOf(services)}, never())
	s.Delete(podNamed("a"))
	if _, ok := s.AbsentSince(name); ok {
		t.Error("absent although pod b of the first list was not evaluated")
	}
	clock.Step(time.Second)
	s.Delete(podNamed("b"))
	if since, ok := s.AbsentSince(name); !ok || since != start.Add(2*time.Second) {
		t.Errorf("AbsentSince = %v, %v; want when the first list was evaluated", since, ok)
	}
	s.Set(podNamed("c"), []Need{needOf(services)}, never())
	if _, ok := s.AbsentSince(name); ok {
		t.Error("absent although a pod needs it")
	}
	clock.Step(time.Minute)
	s.Delete(podNamed("c"))
	if since, ok := s.AbsentSince(name); !ok || since != clock.Now() {
		t.Errorf("AbsentSince = %v, %v; want when the last pod went", since, ok)
	}
}

func TestWithoutPodsTheFirstListIsComplete(t *testing.T) {
	s, _ := newStore()
	s.Expect(nil)
	if since, ok := s.AbsentSince("any"); !ok || since != start {
		t.Errorf("AbsentSince = %v, %v", since, ok)
	}
}

// TestClaimsAreBounded fills the store from one namespace, and then from many.
func TestClaimsAreBounded(t *testing.T) {
	s, _ := newStore()
	fill := func(namespace string, pods int) (refused int) {
		for i := range pods {
			if !s.Set(types.NamespacedName{Namespace: namespace, Name: fmt.Sprint(i)}, []Need{needOf(services)}, never()) {
				refused++
			}
		}
		return refused
	}
	if refused := fill("evil", MaxClaimsOfNamespace+10); refused != 10 {
		t.Errorf("%d pods of one namespace were refused, want 10", refused)
	}
	if refused := fill("shop", 1); refused != 0 {
		t.Error("a full namespace keeps out another one")
	}
	if !s.Set(types.NamespacedName{Namespace: "evil", Name: "0"}, []Need{needOf(services)}, never()) {
		t.Error("a pod that is in the store was refused when it was evaluated again")
	}
	for i := range MaxClaims / MaxClaimsOfNamespace {
		fill(fmt.Sprint("evil-", i), MaxClaimsOfNamespace)
	}
	if s.all != MaxClaims {
		t.Errorf("%d claims, want at most %d", s.all, MaxClaims)
	}
	var many []Need
	for i := range MaxNeeds + 1 {
		many = append(many, needOf(imageref.Repository{Project: "p", Location: "us", Name: fmt.Sprint("r", i)}))
	}
	s.Delete(types.NamespacedName{Namespace: "evil", Name: "0"})
	if s.Set(podNamed("many"), many, never()) {
		t.Errorf("a pod has room for %d needs", len(many))
	}
}

// TestRandomChanges compares the store with a plain model of it.
func TestRandomChanges(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	s, clock := newStore()
	model := map[string]map[imageref.Repository]bool{}
	for range 5000 {
		clock.Step(time.Second)
		pod := fmt.Sprint(random.IntN(5))
		var needs []Need
		model[pod] = map[imageref.Repository]bool{}
		for _, repository := range []imageref.Repository{services, tools} {
			if random.IntN(2) == 0 {
				needs = append(needs, needOf(repository))
				model[pod][repository] = true
			}
		}
		s.Set(podNamed(pod), needs, never())
		for _, repository := range []imageref.Repository{services, tools} {
			want := map[string]bool{}
			for pod, needs := range model {
				if needs[repository] {
					want[pod] = true
				}
			}
			d, ok := s.Of(needOf(repository).Grant())
			if len(d.Claims) != len(want) || ok != (len(want) > 0) {
				t.Fatalf("%s has %d claims, want %d", repository.Name, len(d.Claims), len(want))
			}
			for _, claim := range d.Claims {
				if !want[claim.Pod.Name] {
					t.Fatalf("%s is claimed by %s", repository.Name, claim.Pod.Name)
				}
			}
		}
	}
}

// TestWatchBeginsWithTheNeedsOfNow: a watch that begins late misses no need.
func TestWatchBeginsWithTheNeedsOfNow(t *testing.T) {
	store := New(clocktesting.NewFakePassiveClock(time.Unix(0, 0)))
	store.Set(types.NamespacedName{Namespace: "shop", Name: "web"}, []Need{{Repository: imageref.Repository{Project: "p", Location: "l", Name: "n"}, Member: "m"}}, time.Time{})
	var seen []Need
	store.Watch(func(n Need) { seen = append(seen, n) })
	if len(seen) != 1 || seen[0].Member != "m" {
		t.Errorf("the watch began with %+v", seen)
	}
}

// TestEvaluatedBeforeTheFirstList: a pod that was evaluated before Expect names it is not
// waited for.
func TestEvaluatedBeforeTheFirstList(t *testing.T) {
	store := New(clocktesting.NewFakePassiveClock(time.Unix(0, 0)))
	pod := types.NamespacedName{Namespace: "shop", Name: "web"}
	store.Set(pod, nil, time.Time{})
	store.Expect([]types.NamespacedName{pod})
	if _, absent := store.AbsentSince("g"); !absent || store.Has(pod) {
		t.Errorf("complete: %v, and the pod is waited for: %v", absent, store.Has(pod))
	}
}
