// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/report"
	"github.com/pull-access/pull-access-operator/internal/audit"
)

// document is all that an audit has shown, in the form of -o json. It is fit to be
// shown, and no list in it is null. Fields may be added to it; what is there keeps its
// name and its meaning within a version.
type document struct {
	Version      string       `json:"version"`
	Repositories []repository `json:"repositories"`
	// Findings are worth a look, the gravest first.
	Findings []finding `json:"findings"`
	// Notes say what could not be read beside a repository's own readers.
	Notes []string `json:"notes"`
}

// repository is who can read one repository.
type repository struct {
	// Repository is PROJECT/LOCATION/NAME.
	Repository string      `json:"repository"`
	Principals []principal `json:"principals"`
	// Unknown names each thing that is not known of its readers, and why.
	Unknown []string `json:"unknown"`
}

// principal is one way in which somebody can read.
type principal struct {
	// Member is who, as IAM writes it.
	Member string `json:"member"`
	Role   string `json:"role"`
	// Level is repository, or project for what all of a project's repositories inherit.
	Level string `json:"level"`
	// Conditional: only while a condition holds, which is not judged.
	Conditional bool `json:"conditional"`
	// Operator is Added, Found, or "" where the operator has nothing on record.
	Operator string `json:"operator"`
	// Grant is the PullAccessGrant that has it on record.
	Grant string `json:"grant"`
	// Findings are the reasons of the findings about it.
	Findings []string `json:"findings"`
}

// finding is one thing that is worth a look.
type finding struct {
	Reason string `json:"reason"`
	Level  string `json:"level"`
	// Project is always there, Repository is "" for what is about all of its repositories.
	Project    string `json:"project"`
	Repository string `json:"repository"`
	Member     string `json:"member"`
	// Role is "" for a finding about a grant, and Grant for one about a binding.
	Role     string `json:"role"`
	Grant    string `json:"grant"`
	Sentence string `json:"sentence"`
	// Command is what a person can paste next, "" if none helps.
	Command string `json:"command"`
}

// newDocument makes a document that is fit to be shown.
func newDocument(judged audit.Report, notes []string) document {
	d := document{Version: report.Version, Repositories: []repository{}, Findings: []finding{}, Notes: report.CleanAll(notes)}
	for _, r := range judged.Repositories {
		shown := repository{Repository: report.Clean(r.String()), Principals: []principal{}, Unknown: report.CleanAll(r.Unknown)}
		for i := range r.Principals {
			shown.Principals = append(shown.Principals, principalOf(&r.Principals[i]))
		}
		d.Repositories = append(d.Repositories, shown)
	}
	for i := range judged.Findings {
		d.Findings = append(d.Findings, findingOf(&judged.Findings[i]))
	}
	return d
}

func principalOf(p *audit.Principal) principal {
	shown := principal{
		Member: report.Clean(p.Member), Role: report.Clean(p.Role), Level: string(p.Level), Conditional: p.Conditional,
		Operator: report.Clean(string(p.Origin)), Grant: report.Clean(p.Grant), Findings: []string{},
	}
	for _, reason := range p.Findings {
		shown.Findings = append(shown.Findings, string(reason))
	}
	return shown
}

func findingOf(f *audit.Finding) finding {
	shown := finding{
		Reason: string(f.Reason), Level: string(f.Level), Project: report.Clean(f.Project), Member: report.Clean(f.Member),
		Role: report.Clean(f.Role), Grant: report.Clean(f.Grant), Sentence: report.Clean(f.Sentence), Command: report.Clean(f.Command),
	}
	if !f.Repository.IsZero() {
		shown.Repository = report.Clean(f.Repository.String())
	}
	return shown
}

// clear tells whether nothing was found, and all was read.
func (d document) clear() bool {
	for _, r := range d.Repositories {
		if len(r.Unknown) > 0 {
			return false
		}
	}
	return len(d.Findings) == 0 && len(d.Notes) == 0
}
