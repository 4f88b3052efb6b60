// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package audit judges who can read which repositories, what of that this operator
// has added, and what in it is worth a person's look.
//
// It is no part of the way from a failure to a grant, and pure like that: it takes
// facts from the cluster and the cloud, and changes nothing. What could not be read
// is said to be unknown, and never taken for nobody.
package audit

import (
	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// Access is what one IAM policy says of who can read images.
type Access struct {
	// State is Present for a policy that was read, and Missing where there is nothing
	// that could have one.
	State    diagnosis.State
	Obstacle diagnosis.Obstacle
	// Readers can read by it.
	Readers []iampolicy.Reader
	// Undecided are roles of which it is not known whether they let somebody read.
	Undecided []Undecided
}

// Undecided is a role that could not be looked up, and who has it.
type Undecided struct {
	Role     string
	Members  []string
	Obstacle diagnosis.Obstacle
}

// Facts are what an audit rests on. The zero value is an audit of nothing.
type Facts struct {
	// Repositories are those that are looked at.
	Repositories []imageref.Repository
	// ByRepository holds what their own policies say, ByProject those of their
	// projects, by ID. What is not there was not read.
	ByRepository map[imageref.Repository]Access
	ByProject    map[string]Access
	// Policies and Grants are those of the cluster, be they about these repositories
	// or others.
	Policies []v1alpha1.PullAccessPolicy
	Grants   []v1alpha1.PullAccessGrant
}

// Level is whose policy lets somebody read.
type Level string

const (
	// OfRepository: the repository's own.
	OfRepository Level = "repository"
	// OfProject: that of its project, which holds for all its repositories.
	OfProject Level = "project"
)

// Principal is one way in which somebody can read a repository.
type Principal struct {
	// Member is who, as IAM writes it.
	Member string
	Role   string
	Level  Level
	// Conditional: only while a condition holds, which is not judged.
	Conditional bool
	// Origin is Added where this operator has added the member, Found where it found it
	// there when it was to, and "" where it knows nothing of it.
	Origin v1alpha1.GrantOrigin
	// Grant is the name of the PullAccessGrant that tells so.
	Grant string
	// Findings are what was found about it.
	Findings []Reason
}

// Repository is who can read one repository.
type Repository struct {
	imageref.Repository

	Principals []Principal
	// Unknown names each thing that is not known, and why.
	Unknown []string
}

// Report is all that an audit has shown.
type Report struct {
	Repositories []Repository
	Findings     []Finding
}
