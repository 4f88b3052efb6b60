// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// Judge makes a report of the facts. Its order does not hang on theirs.
func Judge(f Facts) Report {
	f.Repositories = slices.Clone(f.Repositories)
	slices.SortFunc(f.Repositories, func(a, b imageref.Repository) int { return cmp.Compare(a.String(), b.String()) })
	f.Repositories = slices.Compact(f.Repositories)
	report := Report{Findings: findings(f)}
	for _, r := range f.Repositories {
		judged := Repository{Repository: r, Unknown: unknown(f, r)}
		for _, reader := range f.ByRepository[r].Readers {
			p := Principal{Member: reader.Member, Role: reader.Role, Level: OfRepository, Conditional: reader.Conditional}
			p.Origin, p.Grant = origin(f, r, reader)
			judged.Principals = append(judged.Principals, p)
		}
		for _, reader := range f.ByProject[r.Project].Readers {
			judged.Principals = append(judged.Principals, Principal{
				Member: reader.Member, Role: reader.Role, Level: OfProject, Conditional: reader.Conditional,
			})
		}
		for i := range judged.Principals {
			judged.Principals[i].Findings = about(report.Findings, r, judged.Principals[i])
		}
		report.Repositories = append(report.Repositories, judged)
	}
	return report
}

// origin says what the operator has on record of a reader. It writes nothing but
// the one role, without a condition and at the repository.
func origin(f Facts, r imageref.Repository, reader iampolicy.Reader) (v1alpha1.GrantOrigin, string) {
	if reader.Role != iampolicy.Role || reader.Conditional {
		return "", ""
	}
	for i := range f.Grants {
		if g := &f.Grants[i]; granted(g) && imageref.Of(g.Spec.Repository) == r && iampolicy.SameMember(g.Spec.Member, reader.Member) {
			return g.Status.Origin, g.Name
		}
	}
	return "", ""
}

// granted tells whether the member was in the repository's policy when the operator
// last looked.
func granted(g *v1alpha1.PullAccessGrant) bool {
	return meta.IsStatusConditionTrue(g.Status.Conditions, v1alpha1.ConditionGranted)
}

// about are the reasons of the findings that a principal has led to.
func about(all []Finding, r imageref.Repository, p Principal) []Reason {
	var reasons []Reason
	for i := range all {
		if all[i].about(r, p) {
			reasons = append(reasons, all[i].Reason)
		}
	}
	return reasons
}

func (found *Finding) about(r imageref.Repository, p Principal) bool {
	switch {
	case found.Level != p.Level || found.Project != r.Project || p.Level == OfRepository && found.Repository != r:
		return false
	case found.Grant != "":
		return found.Grant == p.Grant
	default:
		return found.Role == p.Role && iampolicy.SameMember(found.Member, p.Member)
	}
}

// named is how many members of a role are named.
const named = 5

// unknown says what is not known of a repository's readers, and why.
func unknown(f Facts, r imageref.Repository) []string {
	own, ofProject := f.ByRepository[r], f.ByProject[r.Project]
	var list []string
	add := func(what string, access Access, missing string) {
		switch access.State {
		case diagnosis.Present:
		case diagnosis.Missing:
			list = append(list, what+": "+missing)
		default:
			list = append(list, what+": "+access.Obstacle.Why())
		}
		for _, u := range access.Undecided {
			members := strings.Join(u.Members[:min(len(u.Members), named)], ", ")
			if more := len(u.Members) - named; more > 0 {
				members += fmt.Sprintf(" and %d more", more)
			}
			list = append(list, fmt.Sprintf("whether %s can read: %s", members, u.Obstacle.Why()))
		}
	}
	add("the repository's IAM policy", own, "there is no such repository")
	add("the IAM policy of project "+r.Project, ofProject, "there is no such project")
	return list
}
