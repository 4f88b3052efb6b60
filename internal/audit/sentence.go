// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"
	"strings"
	"time"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
)

// told is the finding with its sentence and its command.
func (found Finding) told(f Facts, reader iampolicy.Reader) Finding {
	found.Sentence = found.sentence(f)
	if reader.Conditional {
		found.Sentence += " That holds under a condition, which is not judged."
	}
	found.Command = found.command(f, reader.Conditional)
	return found
}

// toldUnused is told of a grant that nothing has used since a moment.
func (found Finding) toldUnused(since time.Time) Finding {
	found.Sentence = fmt.Sprintf("No pod and no workload of this cluster has used grant %s since %s.", found.Grant, since.Format(time.RFC3339))
	found.Command = found.command(Facts{}, false)
	return found
}

func (found Finding) sentence(f Facts) string {
	email, _ := v1alpha1.EmailOf(found.Member)
	switch found.Reason {
	case PublicAccess:
		who := "Everybody on the internet"
		if found.Member == "allAuthenticatedUsers" {
			who = "Everybody with a Google account"
		}
		return fmt.Sprintf("%s can read %s through %s.", who, found.where(), found.Role)
	case BroadRole:
		return fmt.Sprintf("Service account %s, which %s names for nodes, can do more than read in %s through %s; %s on a repository is what a node needs.",
			email, node(f, found.Member), found.where(), found.Role, iampolicy.Role)
	case ComputeDefaultAccount:
		return fmt.Sprintf("Compute Engine default service account %s, which all VMs of its project share that were given no other, can read %s through %s: give the nodes an account of their own.",
			email, found.where(), found.Role)
	case ProjectLevelReader:
		return fmt.Sprintf("Service account %s, which %s names for nodes, can read %s through %s: once each repository that its nodes pull from lets it in by itself, the role can go.",
			email, node(f, found.Member), found.where(), found.Role)
	case DeletedMember:
		return fmt.Sprintf("Role %s of %s still names an account that was deleted: %s.", found.Role, strings.TrimPrefix(found.where(), "all repositories of "), found.Member)
	case RemovedMember:
		return fmt.Sprintf("Grant %s is on record as granted, but %s is no longer among the readers of %s: somebody else has taken it out.", found.Grant, found.Member, found.where())
	default:
		return ""
	}
}

func (found Finding) where() string {
	if found.Level == OfProject {
		return "all repositories of project " + found.Project
	}
	return "repository " + found.Repository.String()
}
