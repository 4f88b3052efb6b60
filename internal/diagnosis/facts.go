// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package diagnosis judges a failure by its cause and by facts from the cluster
// and the cloud: can a grant help, who must act, and what is to be done?
//
// It comes after the cause and before the decision, and is pure: what it needs to
// know is handed in as Facts, and a fact that could not be read says so.
package diagnosis

import (
	"time"

	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

// Facts is all that a diagnosis rests on. The zero value knows nothing, and what
// is not known never leads to a grant.
type Facts struct {
	// Cause is what the text of the failure says.
	Cause pullfailure.Verdict
	// Namespace and Pod name the pod, for the commands that are shown.
	Namespace, Pod string
	// Image is the pod's own image reference, as written; of a sandbox, what the text names.
	Image string
	// Sandbox: it is not a container's image that fails, but the node's sandbox image.
	Sandbox bool
	// Reference is Image parsed; ReferenceErr says why that was not possible.
	Reference    imageref.Image
	ReferenceErr error
	Puller       Puller
	Repository   Repository
	// Access is what the repository's own policy says, ProjectAccess its project's.
	Access, ProjectAccess Access
	// Overall is what all policies above say together.
	Overall Overall
	Content Content
	// OwnGrant names the PullAccessGrant by which this operator has let the puller
	// in, "" if it has not.
	OwnGrant string
	// OwnGrantFound: the access was there before, and is not the operator's own.
	OwnGrantFound bool
	// OwnGrantSettled: that was longer ago than a change of IAM takes to spread.
	OwnGrantSettled bool
}

// Obstacle says why a fact is unknown.
type Obstacle struct {
	Kind ObstacleKind
	// Permission is the permission that the asking account lacks, for Forbidden. It is ""
	// unless Google reports a missing permission.
	Permission string
	// Detail is one plain sentence without a full stop, for people.
	Detail string
	// Consumer is the ID or number of the project that causes the error: its API or billing
	// is off, it does not exist, or the asking account may not use it.
	Consumer string
	// Service is the API that is not enabled in Consumer, such as compute.googleapis.com.
	Service string
	// Identifier is the unique identifier of a denial by VPC Service Controls, for
	// Perimeter. Each denial has a new one, so compared sentences do not contain it.
	Identifier string
	// RetryAfter is the delay until the fact may be readable, for Unavailable. It is 0 if unknown.
	RetryAfter time.Duration
	// NoCredentials reports that there are no credentials to ask Google with, for Unavailable.
	NoCredentials bool
}

// ObstacleKind is why a fact is unknown.
type ObstacleKind int

const (
	// NotRead: nobody has asked for the fact yet.
	NotRead ObstacleKind = iota
	// Forbidden: Google denies access to the asking account.
	Forbidden
	// Unavailable: Google did not answer in time; asking again may help.
	Unavailable
	// Unreadable: the answer, or what leads to it, is not there or makes no sense.
	Unreadable
	// APIOff: the API that was asked is not enabled in the project.
	APIOff
	// BillingOff: the project has no billing account.
	BillingOff
	// Perimeter: VPC Service Controls keep the asking account out.
	Perimeter
	// QuotaProjectDenied: the asking account may not use its quota project.
	QuotaProjectDenied
	// ConsumerInvalid: the project of the call does not exist, or its ID is wrong.
	ConsumerInvalid
	// InvalidLocation: Google rejects the request, most likely because of its location.
	InvalidLocation
)

// LacksCredentials reports whether a fact was not read because there are no credentials.
func (f Facts) LacksCredentials() bool {
	for _, o := range []Obstacle{f.Puller.Obstacle, f.Repository.Obstacle, f.Access.Obstacle, f.Content.Obstacle} {
		if o.NoCredentials {
			return true
		}
	}
	return false
}

// Refused reports whether Google denies access to the asking account itself. Somebody must
// then grant it access first.
func (o Obstacle) Refused() bool { return o.Kind == Forbidden || o.Kind == QuotaProjectDenied }

// State is what is known of something.
type State int

const (
	// Unknown is the zero value: not read, or not readable.
	Unknown State = iota
	// Present: it was read and is there.
	Present
	// Missing: it was read and is not there.
	Missing
)

// Repository is what is known of the image's repository.
type Repository struct {
	State    State
	Obstacle Obstacle
	// Format is Google's word, "DOCKER" where images are kept.
	Format string
	// Mode is Google's word: STANDARD_REPOSITORY, REMOTE_REPOSITORY, VIRTUAL_REPOSITORY.
	Mode string
	// RegistryURI is the canonical HOST/PROJECT/NAME, or "" if Google returns none. The
	// field is newer than the API.
	RegistryURI string
}

// Access is whether a policy lets the puller read images, by whatever role.
type Access struct {
	// State is Present when it does, Missing when it was read and does not.
	State    State
	Obstacle Obstacle
	// Role is the role that gives the access.
	Role string
	// Groups are groups and domains that the policy lets in, at most MaxGroups:
	// whether the puller is a member of one is not known.
	Groups []string
	// Deleted: the policy lets in an account of the puller's email that was deleted;
	// one made anew under that email is somebody else to IAM.
	Deleted bool
}

// MaxGroups bounds how many groups an Access names.
const MaxGroups = 4

// Overall is what Policy Troubleshooter says: allow policies of all levels and
// deny policies together.
type Overall struct {
	// State is Present when the puller may read, Missing when it may not.
	State    State
	Obstacle Obstacle
	// Denied: a deny policy refuses the puller, whatever it is granted.
	Denied bool
}

// Content is whether the repository holds the image.
type Content struct {
	// State is Present when the tag or digest is there, Missing when it was asked for and is not.
	State    State
	Obstacle Obstacle
	// NoPackage: the repository holds no image of that name at all.
	NoPackage bool
	// Nearest are the names of up to MaxNearest tags, or images if NoPackage, that
	// are there and most like the missing one.
	Nearest []string
}
