// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"cmp"
	"slices"
	"strings"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// Reason says what is worth a look. The list is closed.
type Reason string

const (
	// PublicAccess: everybody can read.
	PublicAccess Reason = "PublicAccess"
	// BroadRole: a node's account reads through a role that lets it do more.
	BroadRole Reason = "BroadRole"
	// ComputeDefaultAccount: an account can read that whole projects share.
	ComputeDefaultAccount Reason = "ComputeDefaultAccount"
	// ProjectLevelReader: a node's account can read all repositories of a project.
	ProjectLevelReader Reason = "ProjectLevelReader"
	// RemovedMember: a grant says that a member is in a policy, and it is not.
	RemovedMember Reason = "RemovedMember"
	// UnusedGrant: nothing in the cluster uses what was granted.
	UnusedGrant Reason = "UnusedGrant"
	// DeletedMember: a policy still names an account that was deleted.
	DeletedMember Reason = "DeletedMember"
)

// Reasons lists all reasons, the gravest first. Findings come in this order.
func Reasons() []Reason {
	return []Reason{
		PublicAccess, BroadRole, ComputeDefaultAccount, ProjectLevelReader, RemovedMember, UnusedGrant, DeletedMember,
	}
}

// Finding is one thing that is worth a look.
type Finding struct {
	Reason Reason
	Level  Level
	// Project is the project, and Repository the repository unless the finding is
	// about all of the project's.
	Project    string
	Repository imageref.Repository
	Member     string
	// Role is the one that the member reads through, "" if it is about a grant.
	Role string
	// Grant is the name of a PullAccessGrant, "" if it is not about one.
	Grant string
	// Sentence says what is wrong, in plain words.
	Sentence string
	// Command is what a person can paste next, "" if none helps.
	Command string
}

// findings looks at each repository, at each project once, and at each grant.
func findings(f Facts) []Finding {
	var all []Finding
	for n, r := range f.Repositories {
		all = append(all, ofReaders(f, Finding{Level: OfRepository, Project: r.Project, Repository: r}, f.ByRepository[r].Readers)...)
		if n == 0 || f.Repositories[n-1].Project != r.Project { // They come sorted.
			all = append(all, ofReaders(f, Finding{Level: OfProject, Project: r.Project}, f.ByProject[r.Project].Readers)...)
		}
	}
	all = append(all, ofGrants(f)...)
	slices.SortStableFunc(all, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(slices.Index(Reasons(), a.Reason), slices.Index(Reasons(), b.Reason)),
			cmp.Compare(a.Project, b.Project), cmp.Compare(a.Repository.String(), b.Repository.String()),
			cmp.Compare(a.Role, b.Role), cmp.Compare(a.Member, b.Member), cmp.Compare(a.Grant, b.Grant),
		)
	})
	return all
}

// ofReaders judges who can read by one policy; at says whose it is.
func ofReaders(f Facts, at Finding, readers []iampolicy.Reader) []Finding {
	var all []Finding
	for _, reader := range readers {
		found := at
		found.Member, found.Role = reader.Member, reader.Role
		for _, rule := range rules {
			if rule.applies(f, at.Level, reader) {
				found.Reason = rule.reason
				all = append(all, found.told(f, reader))
			}
		}
	}
	return all
}

// rules are what is looked for in each reader.
var rules = []struct {
	reason  Reason
	applies func(f Facts, level Level, reader iampolicy.Reader) bool
}{
	{PublicAccess, func(_ Facts, _ Level, reader iampolicy.Reader) bool { return public(reader.Member) }},
	{BroadRole, func(f Facts, _ Level, reader iampolicy.Reader) bool {
		return reader.More && node(f, reader.Member) != ""
	}},
	{ComputeDefaultAccount, func(_ Facts, _ Level, reader iampolicy.Reader) bool {
		email, ok := v1alpha1.EmailOf(reader.Member)
		return ok && diagnosis.IsComputeDefault(email)
	}},
	// A role that does more is the graver finding, and has the same cure.
	{ProjectLevelReader, func(f Facts, level Level, reader iampolicy.Reader) bool {
		return level == OfProject && !reader.More && node(f, reader.Member) != ""
	}},
	{DeletedMember, func(_ Facts, _ Level, reader iampolicy.Reader) bool {
		return strings.HasPrefix(reader.Member, "deleted:")
	}},
}

func public(member string) bool { return member == "allUsers" || member == "allAuthenticatedUsers" }

// node says what names the member as an account of nodes: a policy lists it, or a
// grant is about it. It is "" for all others.
func node(f Facts, member string) string {
	email, ok := v1alpha1.EmailOf(member)
	if !ok {
		return ""
	}
	for i := range f.Policies {
		if decision.ListsAccount(&f.Policies[i], email) {
			return "PullAccessPolicy " + f.Policies[i].Name
		}
	}
	for i := range f.Grants {
		if iampolicy.SameMember(f.Grants[i].Spec.Member, member) {
			return "PullAccessGrant " + f.Grants[i].Name
		}
	}
	return ""
}

// ofGrants judges the grants on the repositories that are looked at.
func ofGrants(f Facts) []Finding {
	var all []Finding
	for i := range f.Grants {
		g := &f.Grants[i]
		r := imageref.Of(g.Spec.Repository)
		if !granted(g) || g.DeletionTimestamp != nil || !slices.Contains(f.Repositories, r) {
			continue
		}
		found := Finding{Level: OfRepository, Project: r.Project, Repository: r, Member: g.Spec.Member, Grant: g.Name}
		own := f.ByRepository[r]
		switch {
		case own.State == diagnosis.Present && !holds(own, g.Spec.Member):
			found.Reason = RemovedMember
			all = append(all, found.told(f, iampolicy.Reader{}))
		case g.Status.Usage.UnusedSinceTime != nil:
			found.Reason = UnusedGrant
			all = append(all, found.toldUnused(g.Status.Usage.UnusedSinceTime.UTC()))
		}
	}
	return all
}

// holds tells whether the policy has the member where this operator would add it.
func holds(own Access, member string) bool {
	return slices.ContainsFunc(own.Readers, func(reader iampolicy.Reader) bool {
		return reader.Role == iampolicy.Role && !reader.Conditional && iampolicy.SameMember(reader.Member, member)
	})
}
