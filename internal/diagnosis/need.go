// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import "github.com/pull-access/pull-access-operator/internal/pullfailure"

// Need is which facts of the cluster and the cloud a diagnosis would rest on.
// What is not needed is not read: most failures cost no call at all.
type Need struct {
	// Puller is who asked.
	Puller bool
	// Repository is the image's repository, and Content the image in it.
	Repository, Content bool
	// Access is what lets the puller in; it takes both of the above.
	Access bool
}

// Any tells whether anything is needed.
func (n Need) Any() bool { return n != Need{} }

// Needs says what to read for the failure, by its cause and its image.
func Needs(f Facts) Need {
	if f.ReferenceErr != nil || f.Sandbox || f.Reference.Repository.IsZero() || f.Reference.Public() {
		return Need{}
	}
	switch f.Cause.Cause {
	case pullfailure.PermissionDenied:
		repairable := f.Cause.Repairable()
		return Need{Puller: repairable, Repository: repairable, Content: repairable, Access: repairable}
	case pullfailure.ImageNotFound, pullfailure.RepositoryNotFound:
		return Need{Repository: true, Content: true}
	case pullfailure.Unauthenticated:
		return Need{Puller: true}
	default:
		return Need{}
	}
}
