// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package iampolicy

import (
	"cmp"
	"slices"
	"strings"

	"cloud.google.com/go/iam/apiv1/iampb"
)

// Reach is what a role lets somebody do with images. The zero value is nothing.
type Reach struct {
	// Reads: it holds artifactregistry.repositories.downloadArtifacts.
	Reads bool
	// More: it lets somebody do more in Artifact Registry than read, or is one of the
	// roles of Google's that reach beyond it.
	More bool
}

// ReachOf judges a role that was looked up by the permissions that it holds.
func ReachOf(permissions []string) Reach {
	return Reach{
		Reads: slices.Contains(permissions, DownloadPermission),
		More: slices.ContainsFunc(permissions, func(permission string) bool {
			rest, of := strings.CutPrefix(permission, "artifactregistry.")
			verb := rest[strings.LastIndexByte(rest, '.')+1:]
			return of && !slices.ContainsFunc(readingVerbs, func(reads string) bool { return strings.HasPrefix(verb, reads) })
		}),
	}
}

// readingVerbs begin the last part of Artifact Registry's permissions that change
// nothing: get, getIamPolicy, list, downloadArtifacts, readViaVirtualRepository.
var readingVerbs = []string{"get", "list", "download", "read"}

// narrowRoles are those of googleRoles that let somebody read, and no more.
var narrowRoles = []string{Role, "roles/artifactregistry.viewer"}

// basicRoles reach every service, those that only read as well.
// https://cloud.google.com/iam/docs/roles-overview#basic
var basicRoles = []string{"roles/owner", "roles/editor", "roles/viewer", "roles/admin", "roles/writer", "roles/reader"}

// reachOf is what is known of a role: as it was looked up, or by heart.
func reachOf(role string, looked map[string]Reach) (reach Reach, known bool) {
	if reach, known = looked[role]; known {
		reach.More = reach.More || slices.Contains(basicRoles, role)
		return reach, true
	}
	reads, known := googleRoles[role]
	return Reach{Reads: reads, More: reads && !slices.Contains(narrowRoles, role)}, known
}

// Reader is one member that a policy lets read images, as the policy writes it.
type Reader struct {
	Member string
	Role   string
	// Conditional: only while a condition holds, which the policy alone does not tell.
	Conditional bool
	// More: the role lets it do more than read.
	More bool
}

// Everyone lists who can read by the policy: each member, be it a group or a
// deleted account, once for each role. A condition is of no account where the same
// role is bound without one. undecided are the members of roles of which neither
// looked nor the list of best known roles says what they hold; the first three
// fields tell who. Called with nil, it says by them which roles are to be looked up.
func Everyone(policy *iampb.Policy, looked map[string]Reach) (readers, undecided []Reader) {
	for _, binding := range policy.GetBindings() {
		reach, known := reachOf(binding.GetRole(), looked)
		for _, member := range binding.GetMembers() {
			reader := Reader{Member: member, Role: binding.GetRole(), Conditional: binding.GetCondition() != nil, More: reach.More}
			switch {
			case !known:
				undecided = append(undecided, reader)
			case reach.Reads:
				readers = append(readers, reader)
			}
		}
	}
	return once(readers), once(undecided)
}

// once sorts by role and member, and drops who is there again.
func once(readers []Reader) []Reader {
	slices.SortFunc(readers, func(a, b Reader) int {
		unconditionalFirst := 0
		if a.Conditional != b.Conditional {
			unconditionalFirst = 1
			if b.Conditional {
				unconditionalFirst = -1
			}
		}
		return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.Member, b.Member), unconditionalFirst)
	})
	return slices.CompactFunc(readers, func(a, b Reader) bool { return a.Role == b.Role && a.Member == b.Member })
}
