// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/explanation"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/message"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

const reasonsPage = "reasons.md"

// The examples of the page.
const (
	account = "gke-nodes@acme-prod-417.iam.gserviceaccount.com"
	usual   = "us-central1-docker.pkg.dev/acme-images-306/services/checkout:1.4.2"
	gcr     = "gcr.io/acme-images-306/checkout:1.4.2"
	foreign = "ghcr.io/acme/checkout:1.4.2"
	public  = "gcr.io/distroless/static:nonroot"

	denied    = `failed to resolve image: failed to authorize: failed to fetch oauth token: unexpected status from GET request to https://HOST/v2/token?service=HOST: 403 Forbidden`
	grantName = "services.gke-nodes.88878a8abc7c5066"
)

// examples are facts by which every reason that is not the text's alone is reached.
var examples = []struct {
	image string
	edit  func(*diagnosis.Facts)
}{
	{}, // All is read, and a grant heals it.
	{edit: func(f *diagnosis.Facts) { f.Cause = pullfailure.Verdict{Cause: pullfailure.PermissionDenied} }},
	{edit: func(f *diagnosis.Facts) {
		f.Cause = pullfailure.Verdict{Cause: pullfailure.PermissionDenied, Mirror: true}
	}},
	{edit: func(f *diagnosis.Facts) {
		f.Cause = pullfailure.Verdict{Cause: pullfailure.PermissionDenied, Permission: "artifactregistry.repositories.uploadArtifacts"}
	}},
	{image: foreign},
	{image: public},
	{edit: func(f *diagnosis.Facts) { f.Access.State, f.OwnGrant = diagnosis.Present, grantName }},
	{edit: func(f *diagnosis.Facts) { f.OwnGrant = grantName }},
	{edit: func(f *diagnosis.Facts) { f.Access.State = diagnosis.Present }},
	{edit: func(f *diagnosis.Facts) { f.Access.State = diagnosis.Unknown }},
	{edit: func(f *diagnosis.Facts) { f.Overall.Denied = true }},
	{edit: func(f *diagnosis.Facts) { f.Sandbox = true }},
	{edit: func(f *diagnosis.Facts) { f.Puller, f.Repository = diagnosis.Puller{}, diagnosis.Repository{} }},
	{edit: func(f *diagnosis.Facts) { f.Puller.Email = "" }},
	{edit: func(f *diagnosis.Facts) { f.Puller.Federated = diagnosis.Present }},
	{edit: func(f *diagnosis.Facts) { f.Puller.State = diagnosis.Missing }},
	{edit: func(f *diagnosis.Facts) { f.Puller.Scopes = nil }},
	{edit: func(f *diagnosis.Facts) { f.Puller.Scopes, f.Puller.Cluster = nil, diagnosis.Cluster{} }},
	{edit: func(f *diagnosis.Facts) { f.Puller.Secrets = []diagnosis.PullSecret{{Name: "registry"}} }},
	{edit: func(f *diagnosis.Facts) { f.Repository.State = diagnosis.Missing }},
	{image: gcr, edit: func(f *diagnosis.Facts) { f.Repository.State = diagnosis.Missing }},
	{edit: func(f *diagnosis.Facts) { f.Repository.State = diagnosis.Unknown }},
	{edit: unread(diagnosis.Obstacle{Kind: diagnosis.QuotaProjectDenied, Consumer: "acme-prod-417"})},
	{edit: unread(diagnosis.Obstacle{Kind: diagnosis.ConsumerInvalid, Consumer: "acme-images-306"})},
	{edit: unread(diagnosis.Obstacle{Kind: diagnosis.Unreadable, Consumer: "acme-prod-417", Service: "artifactregistry.googleapis.com"})},
	{edit: unread(diagnosis.Obstacle{Kind: diagnosis.InvalidLocation})},
	{edit: unread(diagnosis.Obstacle{Kind: diagnosis.Perimeter, Identifier: "UA_Y-7"})},
	{edit: func(f *diagnosis.Facts) {
		f.Puller = diagnosis.Puller{Obstacle: diagnosis.Obstacle{Kind: diagnosis.APIOff, Consumer: "acme-prod-417", Service: "compute.googleapis.com"}}
	}},
	{edit: func(f *diagnosis.Facts) {
		f.Access = diagnosis.Access{Obstacle: diagnosis.Obstacle{Kind: diagnosis.Unreadable, Consumer: "acme-prod-417", Service: "iam.googleapis.com"}}
	}},
	{image: "us-central1-docker.pkg.dev/acme-images-306/services:1.4.2"},
	{image: "us-central1-docker.pkg.dev/acme-images-306:1.4.2"},
	{edit: func(f *diagnosis.Facts) { f.Repository.Format = "MAVEN" }},
	{edit: func(f *diagnosis.Facts) { f.Repository.Mode = "NEW" }},
	{edit: func(f *diagnosis.Facts) { f.Repository.RegistryURI = "us-docker.pkg.dev/acme-images-306/services" }},
	{edit: func(f *diagnosis.Facts) {
		f.Repository = diagnosis.Repository{Obstacle: diagnosis.Obstacle{Kind: diagnosis.BillingOff}}
	}},
	{edit: func(f *diagnosis.Facts) { f.Content = diagnosis.Content{State: diagnosis.Missing, NoPackage: true} }},
	{image: foreign, edit: func(f *diagnosis.Facts) { f.Cause = pullfailure.Verdict{Cause: pullfailure.Unauthenticated} }},
}

// unread returns a repository that could not be read.
func unread(o diagnosis.Obstacle) func(*diagnosis.Facts) {
	return func(f *diagnosis.Facts) { f.Repository = diagnosis.Repository{Obstacle: o} }
}

// diagnoses are what the examples come to, and what every cause does by itself.
func diagnoses() []diagnosis.Diagnosis {
	var all []diagnosis.Diagnosis
	for _, e := range examples {
		f := known(e.image)
		if e.edit != nil {
			e.edit(&f)
		}
		all = append(all, diagnosis.Diagnose(f))
	}
	for _, cause := range pullfailure.Causes() {
		if cause == pullfailure.PermissionDenied {
			continue // It always rests on facts.
		}
		f := known("")
		f.Cause, f.Repository = pullfailure.Verdict{Cause: cause}, diagnosis.Repository{}
		all = append(all, diagnosis.Diagnose(f))
	}
	return all
}

// known are the facts of a denied pull, all of them read, that a grant heals.
func known(image string) diagnosis.Facts {
	if image == "" {
		image = usual
	}
	reference, err := imageref.Parse(image)
	message := strings.ReplaceAll(denied, "HOST", reference.Registry)
	return diagnosis.Facts{
		Cause:     pullfailure.Classify(pullfailure.Text{Message: message, Image: image, Reason: "ErrImagePull"}),
		Namespace: "shop", Pod: "checkout-6dcc996c79-t4r72", Image: image, Reference: reference, ReferenceErr: err,
		Puller: diagnosis.Puller{
			State: diagnosis.Present, Email: account, Scopes: []string{"https://www.googleapis.com/auth/cloud-platform"},
			Node: "gke-prod-1", Pool: "default-pool", Instance: "acme-prod-417/us-central1-a/gke-prod-1",
			Cluster:   diagnosis.Cluster{Project: "acme-prod-417", Location: "us-central1", Name: "prod"},
			Federated: diagnosis.Missing, Account: "checkout",
		},
		Repository: diagnosis.Repository{
			State: diagnosis.Present, Format: "DOCKER", Mode: "STANDARD_REPOSITORY",
			RegistryURI: strings.TrimSuffix(reference.Registry+"/"+reference.Path, "/"+reference.Package),
		},
		Access: diagnosis.Access{State: diagnosis.Missing},
	}
}

// refusals are those of the policies that come close, each one step further.
func refusals() []*decision.Refusal {
	var policies []v1alpha1.PullAccessPolicy
	var all []*decision.Refusal
	ask := func(edit func(*v1alpha1.PullAccessPolicy), change func(*diagnosis.Facts)) {
		f := known("")
		if change != nil {
			change(&f)
		}
		if edit != nil {
			p := v1alpha1.PullAccessPolicy{ObjectMeta: metav1.ObjectMeta{Name: "prod-services"}, Spec: v1alpha1.PullAccessPolicySpec{
				Mode: v1alpha1.ModeEnforce, NamespaceSelector: &metav1.LabelSelector{}, PodSelector: &metav1.LabelSelector{},
				Repositories:        []v1alpha1.RepositoryPattern{{Project: "acme-images-306", Location: "*", Name: "*"}},
				NodeServiceAccounts: []string{f.Puller.Email},
			}}
			edit(&p)
			policies = []v1alpha1.PullAccessPolicy{p}
		}
		_, refusal := decision.Decide(decision.Input{Pod: decision.Pod{Namespace: "shop"}, Diagnosis: diagnosis.Diagnose(f), Policies: policies})
		all = append(all, refusal)
	}
	none := func(*v1alpha1.PullAccessPolicy) {}
	ask(nil, nil)
	ask(func(p *v1alpha1.PullAccessPolicy) { p.Spec.NamespaceSelector = nil }, nil)
	ask(func(p *v1alpha1.PullAccessPolicy) { p.Spec.PodSelector = nil }, nil)
	ask(func(p *v1alpha1.PullAccessPolicy) { p.Spec.Repositories = nil }, nil)
	ask(func(p *v1alpha1.PullAccessPolicy) { p.Spec.NodeServiceAccounts = nil }, nil)
	ask(none, func(f *diagnosis.Facts) { f.Puller.Email = "417-compute@developer.gserviceaccount.com" })
	ask(none, func(f *diagnosis.Facts) { f.Repository.Mode = "VIRTUAL_REPOSITORY" })
	ask(func(p *v1alpha1.PullAccessPolicy) { p.DeletionTimestamp = &metav1.Time{} }, nil)
	ask(func(p *v1alpha1.PullAccessPolicy) { p.Spec.Pause = &v1alpha1.PauseSpec{Reason: "freeze"} }, nil)
	ask(func(p *v1alpha1.PullAccessPolicy) { p.Spec.Mode = v1alpha1.ModeDryRun }, nil)
	return all
}

// records are the explanations of grants in every state.
func records() []explanation.Explanation {
	start := time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC)
	policy := &v1alpha1.PullAccessPolicy{Spec: v1alpha1.PullAccessPolicySpec{Mode: v1alpha1.ModeApprove}}
	review := func(g *v1alpha1.PullAccessGrant, decision v1alpha1.ReviewDecision) {
		g.Status.Review = &v1alpha1.Review{Decision: decision, User: "ann@example.com"}
	}
	states := []func(*v1alpha1.PullAccessGrant){
		func(g *v1alpha1.PullAccessGrant) { grantstatus.Intend(g, true, "etag", start) },
		func(g *v1alpha1.PullAccessGrant) { grantstatus.Propose(g, policy, start) },
		func(g *v1alpha1.PullAccessGrant) {
			grantstatus.Propose(g, policy, start)
			review(g, v1alpha1.ReviewApproved)
		},
		func(g *v1alpha1.PullAccessGrant) { grantstatus.Grant(g, v1alpha1.OriginAdded, "etag", start) },
		func(g *v1alpha1.PullAccessGrant) {
			grantstatus.Grant(g, v1alpha1.OriginAdded, "etag", start.Add(-time.Hour))
		},
		func(g *v1alpha1.PullAccessGrant) {
			grantstatus.Grant(g, v1alpha1.OriginAdded, "etag", start)
			grantstatus.MarkIneffective(g, start)
		},
		func(g *v1alpha1.PullAccessGrant) {
			grantstatus.Grant(g, v1alpha1.OriginAdded, "etag", start)
			review(g, v1alpha1.ReviewRevoked)
		},
	}
	for _, reason := range explanation.Reasons() {
		states = append(states, func(g *v1alpha1.PullAccessGrant) {
			grantstatus.Refuse(g, metav1.ConditionFalse, reason, "Why it is so.", true)
		})
	}
	var all []explanation.Explanation
	for _, edit := range states {
		f := known("")
		f.Puller, f.Repository = diagnosis.Puller{}, diagnosis.Repository{}
		g := &v1alpha1.PullAccessGrant{
			ObjectMeta: metav1.ObjectMeta{Name: grantName},
			Spec: v1alpha1.PullAccessGrantSpec{
				Repository: v1alpha1.Repository{Project: "acme-images-306", Location: "us-central1", Name: "services"},
				Member:     v1alpha1.ServiceAccountMember(account),
			},
			Status: v1alpha1.PullAccessGrantStatus{Policy: "prod-services"},
		}
		edit(g)
		e := explanation.Of(explanation.Input{Diagnosis: diagnosis.Diagnose(f), Record: g, Now: start})
		if _, _, ok := explanation.HelpAndActor(e.Reason); ok && !slices.Contains(decision.Reasons(), e.Reason) || e.Reason == v1alpha1.ReasonPolicyGone {
			all = append(all, e)
		}
	}
	return all
}

// policyReasons are the reasons of refusals by policy, as the source lists them.
func policyReasons(t *testing.T) []string {
	t.Helper()
	var names []string
	for file, pattern := range map[string]string{
		"../internal/decision/refusal.go": `(?m)^\tReason\w+ += "(\w+)"`,
		"../internal/decision/steps.go":   `v1alpha1\.Reason(\w+)`,
	} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(pattern).FindAllStringSubmatch(string(source), -1)
		if len(found) == 0 {
			t.Errorf("%s has no reason: the test looks at nothing", file)
		}
		for _, f := range found {
			names = append(names, f[1])
		}
	}
	return names
}

// sections are the parts of the page by their headings.
func sections(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, part := range strings.Split(pages(t)[reasonsPage], "\n## ")[1:] {
		name, text, _ := strings.Cut(part, "\n")
		if _, twice := all[name]; twice {
			t.Errorf("%s has two headings", name)
		}
		all[name] = text
	}
	return all
}

func TestEveryReasonHasAHeading(t *testing.T) {
	want := explanation.Reasons()
	for _, reason := range policyReasons(t) {
		if !slices.Contains(want, reason) {
			t.Errorf("%s is a reason of a refusal, and is in no list of reasons", reason)
		}
	}
	for _, name := range want {
		reason := diagnosis.Reason(name)
		if _, anchor, _ := strings.Cut(reason.Page(), "/docs/"+reasonsPage+"#"); !slices.Contains(anchors(pages(t)[reasonsPage]), anchor) {
			t.Errorf("%s is said to be explained at %s, and is not", reason, reason.Page())
		}
	}
	var have []string
	for name := range sections(t) {
		have = append(have, name)
	}
	slices.Sort(want)
	slices.Sort(have)
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("headings (-want +got):\n%s", diff)
	}
}

// TestReasonsSayWhoActs: the second line of each part, and the table of contents,
// say what the code says.
func TestReasonsSayWhoActs(t *testing.T) {
	actors := map[string]diagnosis.Actor{}
	all := sections(t)
	check := func(reason string, help diagnosis.Help, actor diagnosis.Actor) {
		want := "\nCan a grant help: " + help.String() + " · Who acts: " + string(actor) + "\n"
		if !strings.HasPrefix(all[reason], want) {
			t.Errorf("%s does not begin with %q", reason, want)
		}
		actors[reason] = actor
	}
	for _, d := range diagnoses() {
		check(string(d.Reason), d.Help, d.Actor)
	}
	for _, r := range refusals() {
		check(r.Reason, diagnosis.HelpYes, diagnosis.PlatformTeam)
	}
	for _, e := range records() {
		check(e.Reason, e.Help, e.Actor)
	}
	listed := map[string]diagnosis.Actor{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)`[^|]*\\| (.*) \\|$").FindAllStringSubmatch(pages(t)[reasonsPage], -1) {
		for _, entry := range regexp.MustCompile(`\[(\w+)\]`).FindAllStringSubmatch(row[2], -1) {
			listed[entry[1]] = diagnosis.Actor(row[1])
		}
	}
	if diff := cmp.Diff(actors, listed); diff != "" {
		t.Errorf("table of contents (-want +got):\n%s", diff)
	}
	if len(actors) != len(all) {
		t.Errorf("%d reasons were reached, and %d are explained", len(actors), len(all))
	}
}

// verb is what a command does to what: all words before the first quote that are no flags.
func verb(command string) string {
	command, _, _ = strings.Cut(strings.ReplaceAll(command, "\\\n", " "), "'")
	command, _, _ = strings.Cut(command, `"`)
	return strings.Join(slices.DeleteFunc(strings.Fields(command), func(word string) bool { return strings.HasPrefix(word, "-") }), " ")
}

// TestReasonsShowTheCommands: a block in sh is what the event shows; others have bash.
func TestReasonsShowTheCommands(t *testing.T) {
	type shown struct{ reason, verb string }
	given := map[shown]bool{}
	for _, d := range diagnoses() {
		given[shown{string(d.Reason), verb(d.Command)}] = false
	}
	for _, r := range refusals() {
		given[shown{r.Reason, verb(r.Command)}] = false
	}
	for _, e := range records() {
		given[shown{e.Reason, verb(e.NextStep)}] = false
	}
	// The labels of a namespace are too large.
	given[shown{decision.ReasonNamespaceNotSelected, verb(message.EditNamespaceCommand("shop"))}] = false
	for reason, text := range sections(t) {
		for _, block := range fence.FindAllStringSubmatch(text, -1) {
			if block[1] != "sh" {
				continue
			}
			s := shown{reason, verb(block[2])}
			if _, ok := given[s]; !ok {
				t.Errorf("%s shows %q, which the code does not", reason, s.verb)
			}
			given[s] = true
		}
	}
	for s, found := range given {
		if !found {
			t.Errorf("%s does not show %q, which the code does", s.reason, s.verb)
		}
	}
}

// TestNoInventedCommand: gcloud has never had it, however often it is quoted.
func TestNoInventedCommand(t *testing.T) {
	for name, page := range pages(t) {
		if strings.Contains(page, "test-iam-permissions") {
			t.Errorf("%s has people run test-iam-permissions, which does not exist", name)
		}
	}
}
