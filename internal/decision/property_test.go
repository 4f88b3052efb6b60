// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package decision

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// The properties hold for every input, so inputs are drawn from small alphabets in
// which values meet often. What is right is told here a second time, from tables
// and without the code under test. A failure is shrunk and printed with its draws
// and its seed; -rapid.seed repeats it.

// runs is how many inputs each property is tried on; -rapid.checks outranks it.
const runs = "5000"

func TestMain(m *testing.M) {
	for name, value := range map[string]string{"rapid.checks": runs, "rapid.nofailfile": "true"} {
		if err := flag.Set(name, value); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1) //nolint:forbidigo // This is the test's own main.
		}
	}
	m.Run()
}

// try checks a property on many scenes. It fails too when fewer than one in twenty
// was granted: a property of grants that are never made says nothing.
func try(t *testing.T, property func(*rapid.T, scene, *Grant, *Refusal)) {
	t.Helper()
	tried, granted := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		s := drawScene(t)
		grant, refusal := Decide(s.in)
		tried++
		if grant != nil {
			granted++
		}
		property(t, s, grant, refusal)
	})
	t.Logf("%d of %d scenes were granted", granted, tried)
	if granted*20 < tried {
		t.Errorf("%d of %d scenes were granted: too few to say anything", granted, tried)
	}
}

func TestPropertyEitherGrantOrRefusal(t *testing.T) {
	try(t, func(t *rapid.T, _ scene, grant *Grant, refusal *Refusal) {
		if (grant == nil) == (refusal == nil) {
			t.Fatalf("Decide = %+v, %+v; want exactly one", grant, refusal)
		}
		if refusal != nil && (refusal.Reason == "" || refusal.Sentence == "") {
			t.Fatalf("the refusal %+v says nothing", refusal)
		}
	})
}

// TestPropertyGrantStaysInsideOnePolicy: a grant is of what the pod's own image and
// node name, and one single policy allows all of it; and what one allows is granted.
func TestPropertyGrantStaysInsideOnePolicy(t *testing.T) {
	try(t, func(t *rapid.T, s scene, grant *Grant, refusal *Refusal) {
		allowed := s.in.Diagnosis.Help == "Yes" && slices.ContainsFunc(s.in.Policies, func(p v1alpha1.PullAccessPolicy) bool { return allPass(allFields, p, s) })
		if grant == nil {
			if allowed {
				t.Fatalf("refused with %+v what a policy allows", refusal)
			}
			return
		}
		if !allowed {
			t.Fatalf("granted %+v, which no policy allows", grant)
		}
		if by := s.policy(t, grant.Policy()); !allPass(allFields, by, s) {
			t.Fatalf("granted by policy %s, whose %s refuses", by.Name, allFields[reach(allFields, by, s)].path)
		}
		enforced := slices.ContainsFunc(s.in.Policies, func(p v1alpha1.PullAccessPolicy) bool {
			return p.Spec.Mode == "Enforce" && allPass(allFields, p, s)
		})
		if by := s.policy(t, grant.Policy()); grant.Mode() != by.Spec.Mode || (grant.Mode() == "Enforce") != enforced {
			t.Fatalf("granted in mode %q by a policy in mode %q, and one in mode Enforce allows it: %v", grant.Mode(), by.Spec.Mode, enforced)
		}
		if grant.Repository() != s.repository || grant.Member() != "serviceAccount:"+s.account.email {
			t.Fatalf("granted %s on %s, want %s on %s", grant.Member(), grant.Repository(), s.account.email, s.repository)
		}
	})
}

func TestPropertyOneMorePolicyTakesNothing(t *testing.T) {
	try(t, func(t *rapid.T, s scene, grant *Grant, _ *Refusal) {
		more := drawPolicy(t, s, "more")
		at := rapid.IntRange(0, len(s.in.Policies)).Draw(t, "at")
		wider := s.with(slices.Insert(slices.Clone(s.in.Policies), at, more)...)
		again, refusal := Decide(wider.in)
		if grant != nil && (again == nil || again.Repository() != grant.Repository() || again.Member() != grant.Member()) {
			t.Fatalf("one more policy made %+v of grant %+v, refusal %+v", again, grant, refusal)
		}
		if s.permits() && !wider.permits() {
			t.Fatal("one more policy took back what was permitted")
		}
	})
}

// TestPropertyOrderDoesNotMatter: the same is granted, and what is refused is
// refused in the same words.
func TestPropertyOrderDoesNotMatter(t *testing.T) {
	try(t, func(t *rapid.T, s scene, grant *Grant, refusal *Refusal) {
		other := s.with(rapid.Permutation(s.in.Policies).Draw(t, "order")...)
		grantAgain, refusalAgain := Decide(other.in)
		switch {
		case (grant == nil) != (grantAgain == nil):
			t.Fatalf("in another order %+v, %+v became %+v, %+v", grant, refusal, grantAgain, refusalAgain)
		case grant == nil && *refusal != *refusalAgain:
			t.Fatalf("in another order refusal %+v became %+v", *refusal, *refusalAgain)
		case grant != nil && (grant.Repository() != grantAgain.Repository() || grant.Member() != grantAgain.Member()):
			t.Fatalf("in another order grant %+v became %+v", grant, grantAgain)
		case grant != nil && !allPass(allFields, s.policy(t, grantAgain.Policy()), s):
			t.Fatalf("in another order it is granted by %s, which does not allow it", grantAgain.Policy())
		}
		if s.permits() != other.permits() {
			t.Fatal("in another order Permits says otherwise")
		}
	})
}

// TestPropertyRefusalNamesWhatRefuses: no policy came further than the one that is
// named, and an edit of the one field that is named gets it further.
func TestPropertyRefusalNamesWhatRefuses(t *testing.T) {
	try(t, func(t *rapid.T, s scene, grant *Grant, refusal *Refusal) {
		if grant != nil {
			return
		}
		if s.in.Diagnosis.Help != "Yes" || len(s.in.Policies) == 0 {
			if refusal.Policy != "" || refusal.Field != "" {
				t.Fatalf("refused by field %q of policy %q, and none was to be asked", refusal.Field, refusal.Policy)
			}
			return
		}
		named := s.policy(t, refusal.Policy)
		at := slices.IndexFunc(allFields, func(f field) bool { return f.path == refusal.Field })
		if came := reach(allFields, named, s); at != came {
			t.Fatalf("refused by field %q of policy %s, want %s", refusal.Field, named.Name, allFields[came].path)
		}
		for _, p := range s.in.Policies {
			if reach(allFields, p, s) > at {
				t.Fatalf("refused by field %s of policy %s, and policy %s came closer", refusal.Field, named.Name, p.Name)
			}
		}
		if unlisted := refusal.Field == "spec.repositories" && s.repository.IsZero() || refusal.Field == "spec.nodeServiceAccounts" && s.account.email == ""; unlisted {
			return // Nothing that could be listed: no edit helps.
		}
		edited := *named.DeepCopy()
		allFields[at].open(&edited, s)
		others := slices.DeleteFunc(slices.Clone(s.in.Policies), func(p v1alpha1.PullAccessPolicy) bool { return p.Name == named.Name })
		again, next := Decide(s.with(append(others, edited)...).in)
		if again == nil && (next.Policy != named.Name || slices.IndexFunc(allFields, func(f field) bool { return f.path == next.Field }) <= at) {
			t.Fatalf("after an edit of field %s of policy %s the refusal is %+v, want one further on", refusal.Field, named.Name, next)
		}
	})
}

func TestPropertyOnlyHelpYesGrants(t *testing.T) {
	try(t, func(t *rapid.T, s scene, grant *Grant, _ *Refusal) {
		if grant == nil {
			return
		}
		for _, help := range []diagnosis.Help{diagnosis.HelpNo, diagnosis.HelpUnknown, "yes", "Maybe"} {
			less := s
			less.in.Diagnosis.Help = help
			again, refusal := Decide(less.in)
			if again != nil || refusal.Reason != string(s.in.Diagnosis.Reason) {
				t.Fatalf("with help %q Decide = %+v, %+v; want the diagnosis' own refusal", help, again, refusal)
			}
		}
	})
}

// TestPropertyZeroRefuses takes one thing away from what is granted: nothing that
// the grant rests on may be left out.
func TestPropertyZeroRefuses(t *testing.T) {
	zeroes := []struct {
		what string
		edit func(*scene, *v1alpha1.PullAccessPolicy)
	}{
		{"policy", func(_ *scene, p *v1alpha1.PullAccessPolicy) { *p = v1alpha1.PullAccessPolicy{} }},
		{"spec", func(_ *scene, p *v1alpha1.PullAccessPolicy) { p.Spec = v1alpha1.PullAccessPolicySpec{} }},
		{"mode", func(_ *scene, p *v1alpha1.PullAccessPolicy) { p.Spec.Mode = "" }},
		{"namespaceSelector", func(_ *scene, p *v1alpha1.PullAccessPolicy) { p.Spec.NamespaceSelector = nil }},
		{"podSelector", func(_ *scene, p *v1alpha1.PullAccessPolicy) { p.Spec.PodSelector = nil }},
		{"repositories", func(_ *scene, p *v1alpha1.PullAccessPolicy) { p.Spec.Repositories = nil }},
		{"accounts", func(_ *scene, p *v1alpha1.PullAccessPolicy) { p.Spec.NodeServiceAccounts = nil }},
		{"diagnosis", func(s *scene, _ *v1alpha1.PullAccessPolicy) { s.in.Diagnosis = diagnosis.Diagnosis{} }},
		{"facts", func(s *scene, _ *v1alpha1.PullAccessPolicy) { s.in.Diagnosis.Facts = diagnosis.Facts{} }},
		{"reference", func(s *scene, _ *v1alpha1.PullAccessPolicy) { s.in.Diagnosis.Facts.Reference = imageref.Image{} }},
		{"puller", func(s *scene, _ *v1alpha1.PullAccessPolicy) { s.in.Diagnosis.Facts.Puller = diagnosis.Puller{} }},
		{"puller's email", func(s *scene, _ *v1alpha1.PullAccessPolicy) { s.in.Diagnosis.Facts.Puller.Email = "" }},
		{"puller's state", func(s *scene, _ *v1alpha1.PullAccessPolicy) { s.in.Diagnosis.Facts.Puller.State = diagnosis.Unknown }},
	}
	if grant, _ := Decide(Input{}); grant != nil {
		t.Errorf("the zero input is granted %+v", grant)
	}
	try(t, func(t *rapid.T, s scene, grant *Grant, _ *Refusal) {
		if permitted(s.in.Policies, Grant{}.Repository(), false, Grant{}.Member()) {
			t.Fatal("the zero grant is permitted")
		}
		if grant == nil {
			return
		}
		by := s.policy(t, grant.Policy())
		for _, zero := range zeroes {
			less, policy := s, *by.DeepCopy()
			zero.edit(&less, &policy)
			if again, _ := Decide(less.with(policy).in); again != nil {
				t.Fatalf("without %s it is still granted: %+v", zero.what, again)
			}
		}
	})
}

// TestPropertyPermitsFollowsPolicy: what was granted is permitted until the policy
// is narrowed, and Permits and Covers each answer for their own fields.
func TestPropertyPermitsFollowsPolicy(t *testing.T) {
	try(t, func(t *rapid.T, s scene, grant *Grant, _ *Refusal) {
		wanted, named := false, false
		for i, p := range s.in.Policies {
			named = named || p.DeletionTimestamp == nil && allPass(grantFields, p, s)
			wanted = wanted || allPass(slices.Concat(grantFields, forceFields), p, s)
			if got, want := Covers(&s.in.Policies[i], s.in.Pod), allPass(slices.Concat(podFields, forceFields), p, s); got != want {
				t.Fatalf("Covers = %v of policy %s, want %v", got, p.Name, want)
			}
		}
		if got := s.permits(); got != wanted {
			t.Fatalf("Permits = %v, want %v", got, wanted)
		}
		account := v1alpha1.ServiceAccountMember(s.account.email)
		if got := Names(s.in.Policies, s.repository, s.virtual, account); got != named {
			t.Fatalf("Names = %v, want %v: in whatever mode", got, named)
		}
		if grant == nil {
			return
		}
		by := s.policy(t, grant.Policy())
		if !Permits(&by, grant.Repository(), s.virtual, grant.Member()) || !Covers(&by, s.in.Pod) {
			t.Fatalf("policy %s grants, and Permits or Covers does not know of it", by.Name)
		}
		for _, member := range []string{"allUsers", "allAuthenticatedUsers", "user:" + s.account.email, "deleted:" + grant.Member(), s.account.email} {
			if permitted(s.in.Policies, grant.Repository(), s.virtual, member) {
				t.Fatalf("member %s is permitted, which is no service account", member)
			}
		}
		gone := *by.DeepCopy()
		gone.DeletionTimestamp = &metav1.Time{}
		if s.with(gone).permits() || s.with().permits() {
			t.Fatal("it is still permitted when the policy is gone")
		}
		for _, n := range narrowings(s) {
			narrowed := *by.DeepCopy()
			n.edit(&narrowed.Spec)
			alone := s.with(narrowed)
			if again, _ := Decide(alone.in); alone.permits() || again != nil {
				t.Fatalf("after %s in the policy it is still permitted, or granted: %+v", n.what, again)
			}
		}
	})
}

type narrowing struct {
	what string
	edit func(*v1alpha1.PullAccessPolicySpec)
}

// narrowings are the edits of a spec that allowed the scene, after which it no longer does.
func narrowings(s scene) []narrowing {
	repository := func(project, location, name string) func(*v1alpha1.PullAccessPolicySpec) {
		return func(spec *v1alpha1.PullAccessPolicySpec) {
			spec.Repositories = []v1alpha1.RepositoryPattern{{Project: project, Location: location, Name: name}}
		}
	}
	edits := []narrowing{
		{"DryRun", func(spec *v1alpha1.PullAccessPolicySpec) { spec.Mode = v1alpha1.ModeDryRun }},
		{"a pause", func(spec *v1alpha1.PullAccessPolicySpec) { spec.Pause = &v1alpha1.PauseSpec{} }},
		{"another repository", repository(s.repository.Project, "*", s.repository.Name+"-other")},
		{"another project", repository(s.repository.Project+"-other", "*", "*")},
		{"another location", repository(s.repository.Project, "asia", "*")},
		{"other accounts", func(spec *v1alpha1.PullAccessPolicySpec) {
			spec.NodeServiceAccounts = []string{"other@acme-prod.iam.gserviceaccount.com", "*@other.iam.gserviceaccount.com"}
		}},
	}
	if s.account.computeDefault {
		edits = append(edits, narrowing{"no default accounts", func(spec *v1alpha1.PullAccessPolicySpec) { spec.ComputeDefaultServiceAccount = v1alpha1.Deny }})
	}
	if s.virtual {
		edits = append(edits, narrowing{"no virtual repositories", func(spec *v1alpha1.PullAccessPolicySpec) { spec.VirtualRepositories = v1alpha1.Deny }})
	}
	return edits
}
