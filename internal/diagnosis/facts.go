// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package diagnosis weighs the cause of a failure together with the facts read
// from the cluster and the cloud: who asked, for what, and can a grant help?
//
// It comes after the cause and before the decision, and is pure: the facts are
// read by the controllers through ports, and handed in.
package diagnosis

import (
	"strings"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

// Facts is all that a diagnosis rests on. A fact's zero value means "unknown",
// and an unknown fact never leads to a grant.
type Facts struct {
	// Cause is what the text of the failure says.
	Cause pullfailure.Verdict
	// Image is the pod's own image reference, as written.
	Image string
	// Reference is Image parsed; ReferenceErr says why that was not possible.
	Reference    imageref.Image
	ReferenceErr error
	Puller       Puller
	Repository   Repository
	Access       Access
	// OwnGrant names the PullAccessGrant by which this operator has let the puller
	// in, "" if it has not.
	OwnGrant string
	// OwnGrantSettled: that was longer ago than a change of IAM takes to spread.
	OwnGrantSettled bool
}

// Obstacle says why a fact is unknown. The zero value: it was not read.
type Obstacle struct {
	Kind ObstacleKind
	// Permission is what the operator's account lacks, for Forbidden.
	Permission string
	// Detail is one plain sentence without a full stop, for people.
	Detail string
}

// ObstacleKind tells what has to happen before the fact can be read.
type ObstacleKind int

const (
	// NotRead: nobody has asked for the fact yet.
	NotRead ObstacleKind = iota
	// Forbidden: the operator's account lacks a permission.
	Forbidden
	// Unavailable: Google did not answer in time; asking again may help.
	Unavailable
	// Unreadable: the answer, or what leads to it, is not there or makes no sense.
	Unreadable
)

// State tells whether a thing in the cloud is there.
type State int

const (
	// Unknown is the zero value: not read, or not readable.
	Unknown State = iota
	// Present: it was read and is there.
	Present
	// Missing: it was read and is not there.
	Missing
)

// Repository is what GetRepository says.
type Repository struct {
	State    State
	Obstacle Obstacle
	// Format is Google's word, "DOCKER" where images are kept.
	Format string
	// Mode is Google's word: STANDARD_REPOSITORY, REMOTE_REPOSITORY, VIRTUAL_REPOSITORY.
	Mode string
	// RegistryURI is the canonical HOST/PROJECT/NAME, "" if Google gives none.
	RegistryURI string
}

// Puller is the identity that asked the registry.
type Puller struct {
	// State is Present for a known service account, Missing when the node has none.
	State    State
	Obstacle Obstacle
	// Email is the node's service account.
	Email string
	// Scopes are the node's OAuth scopes, as URLs.
	Scopes []string
	// Other names who pulls instead of the node, when it is not the node.
	Other OtherPuller
	// Instance is PROJECT/ZONE/NAME, "" if the node names none.
	Instance string
	// Node is the name of the pod's node.
	Node string
}

// OtherPuller says that the node's account is not, or perhaps not, the puller.
type OtherPuller int

const (
	// NodeAccount: nothing says that another identity pulls.
	NodeAccount OtherPuller = iota
	// PullSecret: the pod has pull secrets, which compete with the node's account.
	PullSecret
	// KubernetesServiceAccount: the pod's own account pulls by Workload Identity Federation.
	KubernetesServiceAccount
)

// Member is the puller in IAM's words, "" while it is unknown.
func (p Puller) Member() string {
	if p.State != Present || p.Email == "" {
		return ""
	}
	return v1alpha1.ServiceAccountMember(p.Email)
}

// Access is whether the repository's own policy lets the puller pull.
type Access struct {
	// State is Present when it does, Missing when it was read and does not.
	State    State
	Obstacle Obstacle
	// Role is the role that gives the access.
	Role string
}

// IsComputeDefault tells whether email is a Compute Engine default service
// account, NUMBER-compute@developer.gserviceaccount.com.
func IsComputeDefault(email string) bool {
	return strings.HasSuffix(strings.ToLower(email), "-compute@developer.gserviceaccount.com")
}

// pullScopes are the OAuth scopes of which a node needs one to pull at all.
// https://cloud.google.com/artifact-registry/docs/access-control#gke
var pullScopes = []string{
	"https://www.googleapis.com/auth/cloud-platform",
	"https://www.googleapis.com/auth/devstorage.read_only",
	"https://www.googleapis.com/auth/devstorage.read_write",
	"https://www.googleapis.com/auth/devstorage.full_control",
}
