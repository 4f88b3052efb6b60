// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

const (
	nodes   = "serviceAccount:gke-nodes@acme-prod-417.iam.gserviceaccount.com"
	builder = "serviceAccount:builder@acme-prod-417.iam.gserviceaccount.com"
	shared  = "serviceAccount:417-compute@developer.gserviceaccount.com"
	deleted = "deleted:serviceAccount:old@acme-prod-417.iam.gserviceaccount.com?uid=1"
	human   = "user:ada@example.com"
	writer  = "roles/artifactregistry.writer"
	project = "acme-images-306"
)

var (
	services = imageref.Repository{Project: project, Location: "us-central1", Name: "services"}
	tools    = imageref.Repository{Project: project, Location: "us-central1", Name: "tools"}
	noon     = metav1.NewTime(time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC))
)

func reads(members ...string) []iampolicy.Reader {
	var all []iampolicy.Reader
	for _, member := range members {
		all = append(all, iampolicy.Reader{Member: member, Role: iampolicy.Role})
	}
	return all
}

func writes(member string) iampolicy.Reader {
	return iampolicy.Reader{Member: member, Role: writer, More: true}
}

func read(readers ...iampolicy.Reader) Access {
	return Access{State: diagnosis.Present, Readers: readers}
}

// policy lists the nodes' account, and no other.
func policy() v1alpha1.PullAccessPolicy {
	return v1alpha1.PullAccessPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "prod"},
		Spec: v1alpha1.PullAccessPolicySpec{
			Repositories:        []v1alpha1.RepositoryPattern{{Project: project, Location: "*", Name: "*"}},
			NodeServiceAccounts: []string{"gke-nodes@acme-prod-417.iam.gserviceaccount.com"},
		},
	}
}

func grant(edit ...func(*v1alpha1.PullAccessGrant)) v1alpha1.PullAccessGrant {
	g := v1alpha1.PullAccessGrant{
		ObjectMeta: metav1.ObjectMeta{Name: "services.gke-nodes.1"},
		Spec:       v1alpha1.PullAccessGrantSpec{Repository: services.Record(), Member: nodes, Policy: "prod"},
		Status: v1alpha1.PullAccessGrantStatus{
			Origin:     v1alpha1.OriginAdded,
			Conditions: []metav1.Condition{{Type: v1alpha1.ConditionGranted, Status: metav1.ConditionTrue}},
		},
	}
	for _, e := range edit {
		e(&g)
	}
	return g
}

func unused(g *v1alpha1.PullAccessGrant) { g.Status.Usage.UnusedSinceTime = &noon }
func notGranted(g *v1alpha1.PullAccessGrant) {
	g.Status.Conditions[0].Status = metav1.ConditionFalse
}

// facts are those of one repository that is read, with a policy for its nodes.
func facts(own, ofProject Access, grants ...v1alpha1.PullAccessGrant) Facts {
	return Facts{
		Repositories: []imageref.Repository{services},
		ByRepository: map[imageref.Repository]Access{services: own},
		ByProject:    map[string]Access{project: ofProject},
		Policies:     []v1alpha1.PullAccessPolicy{policy()}, Grants: grants,
	}
}

// told are the findings in short: "Reason level member".
func told(all []Finding) []string {
	var short []string
	for _, f := range all {
		short = append(short, string(f.Reason)+" "+string(f.Level)+" "+f.Member)
	}
	return short
}

// TestFindings: beside each case that is found stands one that is just not.
func TestFindings(t *testing.T) {
	conditional := iampolicy.Reader{Member: nodes, Role: iampolicy.Role, Conditional: true}
	for name, tc := range map[string]struct {
		facts Facts
		want  []string
		why   string
	}{
		"nothing":            {Facts{}, nil, "nothing was looked at"},
		"nothing but a node": {facts(read(reads(nodes)...), read()), nil, "a node's account that reads one repository is as it should be"},
		"people":             {facts(read(reads(human)...), read(reads(human)...)), nil, "a person is no node"},

		"public":                 {facts(read(reads("allUsers")...), read()), []string{"PublicAccess repository allUsers"}, "everybody reads"},
		"every account":          {facts(read(reads("allAuthenticatedUsers")...), read()), []string{"PublicAccess repository allAuthenticatedUsers"}, "an account is free"},
		"public project":         {facts(read(), read(reads("allUsers")...)), []string{"PublicAccess project allUsers"}, "everybody reads all"},
		"a user of that name":    {facts(read(reads("user:allUsers@example.com")...), read()), nil, "that is one person"},
		"broad":                  {facts(read(writes(nodes)), read()), []string{"BroadRole repository " + nodes}, "a node that writes can replace images"},
		"broad, of a project":    {facts(read(), read(writes(nodes))), []string{"BroadRole project " + nodes}, "once: the role is the graver finding"},
		"broad, of a builder":    {facts(read(writes(builder)), read()), nil, "who builds images writes them"},
		"broad, by a grant":      {facts(read(append(reads(builder), writes(builder))...), read(), grant(func(g *v1alpha1.PullAccessGrant) { g.Spec.Member = builder })), []string{"BroadRole repository " + builder}, "a grant names it as a node's"},
		"shared":                 {facts(read(reads(shared)...), read()), []string{"ComputeDefaultAccount repository " + shared}, "whole projects share it"},
		"shared, of a project":   {facts(read(), read(iampolicy.Reader{Member: shared, Role: "roles/editor", More: true})), []string{"ComputeDefaultAccount project " + shared}, "the usual case of old projects"},
		"App Engine's default":   {facts(read(reads("serviceAccount:acme@appspot.gserviceaccount.com")...), read()), nil, "it runs no nodes"},
		"project level":          {facts(read(reads(nodes)...), read(reads(nodes)...)), []string{"ProjectLevelReader project " + nodes}, "the repository would do"},
		"project level, builder": {facts(read(), read(reads(builder)...)), nil, "it is no node"},
		"conditional":            {facts(read(), read(conditional)), []string{"ProjectLevelReader project " + nodes}, "a condition may hold"},
		"deleted":                {facts(read(reads(deleted)...), read()), []string{"DeletedMember repository " + deleted}, "it is of no use to anybody"},
		"named so":               {facts(read(reads("user:deleted:me@example.com")...), read()), nil, "the address only looks like it"},

		"in use":                {facts(read(reads(nodes)...), read(), grant()), nil, "all is well"},
		"unused":                {facts(read(reads(nodes)...), read(), grant(unused)), []string{"UnusedGrant repository " + nodes}, "nothing uses it"},
		"unused, ended":         {facts(read(), read(), grant(unused, notGranted)), nil, "it is taken back already"},
		"unused, elsewhere":     {facts(read(), read(), grant(unused, func(g *v1alpha1.PullAccessGrant) { g.Spec.Repository = tools.Record() })), nil, "that repository is not looked at"},
		"removed":               {facts(read(reads(human)...), read(), grant()), []string{"RemovedMember repository " + nodes}, "the record is wrong"},
		"removed, unused":       {facts(read(), read(), grant(unused)), []string{"RemovedMember repository " + nodes}, "what is not there need not be taken back"},
		"removed, through more": {facts(read(writes(nodes)), read(), grant()), []string{"BroadRole repository " + nodes, "RemovedMember repository " + nodes}, "the operator writes another role"},
		"removed, conditional":  {facts(read(conditional), read(), grant()), []string{"RemovedMember repository " + nodes}, "the operator writes no condition"},
		"removed, not granted":  {facts(read(), read(), grant(notGranted)), nil, "it says so itself"},
		"removed, being undone": {facts(read(), read(), grant(func(g *v1alpha1.PullAccessGrant) { g.DeletionTimestamp = &noon })), nil, "it is on its way out"},
		"removed, not read":     {facts(Access{}, read(), grant()), nil, "what was not read is not gone"},
		"removed, other case":   {facts(read(reads("serviceAccount:GKE-nodes@acme-prod-417.iam.gserviceaccount.com")...), read(), grant()), nil, "case does not matter"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, told(Judge(tc.facts).Findings)); diff != "" {
				t.Errorf("%s (-want +got)\n%s", tc.why, diff)
			}
		})
	}
}

// TestEveryReasonIsTold: each has a sentence, and its place in the order.
func TestEveryReasonIsTold(t *testing.T) {
	f := facts(read(append(reads("allUsers", deleted), writes(nodes))...), read(reads(nodes, shared)...), grant(), grant(unused, func(g *v1alpha1.PullAccessGrant) {
		g.Name, g.Spec.Member = "services.all.2", "allUsers"
	}))
	var got []Reason
	for _, found := range Judge(f).Findings {
		got = append(got, found.Reason)
		if !strings.HasSuffix(found.Sentence, ".") || len(found.Sentence) < 20 {
			t.Errorf("%s says %q", found.Reason, found.Sentence)
		}
	}
	if diff := cmp.Diff(Reasons(), got); diff != "" {
		t.Errorf("(-known +found)\n%s", diff)
	}
}

// TestPrincipals: each way in is a row, and only the operator's own binding is its.
func TestPrincipals(t *testing.T) {
	own := read(append(reads(human, nodes), writes(nodes), iampolicy.Reader{Member: builder, Role: iampolicy.Role, Conditional: true})...)
	f := facts(own, read(reads(nodes)...), grant(), grant(func(g *v1alpha1.PullAccessGrant) {
		g.Name, g.Spec.Member, g.Status.Origin = "services.ada.2", human, v1alpha1.OriginFound
	}), grant(func(g *v1alpha1.PullAccessGrant) { g.Name, g.Spec.Member = "services.builder.3", builder }))
	want := []Principal{
		{Member: human, Role: iampolicy.Role, Level: OfRepository, Origin: v1alpha1.OriginFound, Grant: "services.ada.2"},
		{Member: nodes, Role: iampolicy.Role, Level: OfRepository, Origin: v1alpha1.OriginAdded, Grant: "services.gke-nodes.1"},
		{Member: nodes, Role: writer, Level: OfRepository, Findings: []Reason{BroadRole}},
		{Member: builder, Role: iampolicy.Role, Level: OfRepository, Conditional: true},
		{Member: nodes, Role: iampolicy.Role, Level: OfProject, Findings: []Reason{ProjectLevelReader}},
	}
	if diff := cmp.Diff(want, Judge(f).Repositories[0].Principals); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestUnknown: what was not read is said, and is nobody's absence.
func TestUnknown(t *testing.T) {
	refused := Access{Obstacle: diagnosis.Obstacle{Kind: diagnosis.Forbidden, Permission: "p.get"}}
	undecided := read()
	undecided.Undecided = []Undecided{{
		Role: "r", Members: []string{"a", "b", "c", "d", "e", "f", "g"},
		Obstacle: diagnosis.Obstacle{Kind: diagnosis.Unreadable, Detail: "role r cannot be read: no"},
	}}
	for name, tc := range map[string]struct {
		own, ofProject Access
		want           []string
	}{
		"all read":        {read(), read(), nil},
		"nothing read":    {Access{}, Access{}, []string{"the repository's IAM policy: it was not read", "the IAM policy of project acme-images-306: it was not read"}},
		"one refused":     {read(), refused, []string{"the IAM policy of project acme-images-306: the asking account lacks permission p.get"}},
		"no repository":   {Access{State: diagnosis.Missing}, read(), []string{"the repository's IAM policy: there is no such repository"}},
		"no role":         {undecided, read(), []string{"whether a, b, c, d, e and 2 more can read: role r cannot be read: no"}},
		"role of project": {read(), undecided, []string{"whether a, b, c, d, e and 2 more can read: role r cannot be read: no"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Judge(facts(tc.own, tc.ofProject)).Repositories[0].Unknown); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestOnceForAProject: what a project's policy says is found once, whatever number of
// its repositories is looked at, and shown at each.
func TestOnceForAProject(t *testing.T) {
	f := facts(read(reads(nodes)...), read(reads(nodes)...))
	f.Repositories = []imageref.Repository{tools, services, tools}
	f.ByRepository[tools] = read(reads(nodes)...)
	report := Judge(f)
	if diff := cmp.Diff([]string{"ProjectLevelReader project " + nodes}, told(report.Findings)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if len(report.Repositories) != 2 || report.Repositories[0].Repository != services || report.Repositories[1].Repository != tools {
		t.Fatalf("got %+v", report.Repositories)
	}
	for _, r := range report.Repositories {
		if n := len(r.Principals); n != 2 || r.Principals[1].Level != OfProject {
			t.Errorf("%s has %+v", r, r.Principals)
		}
	}
}
