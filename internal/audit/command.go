// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// What is pasted is run by a shell, and policies hold what other people wrote, so
// each name is held to an alphabet of which a shell obeys nothing. A deleted
// member's question mark is quoted.
var (
	projectName    = regexp.MustCompile(`^([a-z0-9][a-z0-9.-]*:)?[a-z0-9][a-z0-9-]*$`)
	locationName   = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
	repositoryName = regexp.MustCompile(`^[a-z][a-z0-9.-]*$`)
	roleName       = regexp.MustCompile(`^((projects|organizations)/[a-z0-9.:-]+/)?roles/[A-Za-z0-9_.]+$`)
	memberName     = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9:@._/?=-]*$`)
)

// command is the next one to paste, "" if none helps or a name is none.
func (found Finding) command(f Facts, conditional bool) string {
	if !found.pasteable() {
		return ""
	}
	switch found.Reason {
	case PublicAccess, DeletedMember:
		return found.takeAway(conditional)
	case BroadRole, ProjectLevelReader:
		return found.narrow(f, conditional)
	case RemovedMember:
		return "kubectl describe pullaccessgrant " + found.Grant
	case UnusedGrant:
		return "kubectl pullaccess revoke " + found.Grant
	default: // What uses a shared account, no one command tells.
		return ""
	}
}

func (found Finding) pasteable() bool {
	if found.Grant != "" {
		return len(validation.IsDNS1123Subdomain(found.Grant)) == 0
	}
	r := found.Repository
	return projectName.MatchString(found.Project) && roleName.MatchString(found.Role) && memberName.MatchString(found.Member) &&
		(r.IsZero() || locationName.MatchString(r.Location) && repositoryName.MatchString(r.Name))
}

// narrow first lets the account read each repository by itself, so that its pods go
// on pulling, and then takes the wider role away.
func (found Finding) narrow(f Facts, conditional bool) string {
	for _, r := range f.Repositories {
		of := found.Level == OfProject && r.Project == found.Project || r == found.Repository
		if of && f.ByRepository[r].State != diagnosis.Missing && locationName.MatchString(r.Location) && repositoryName.MatchString(r.Name) && !holds(f.ByRepository[r], found.Member) {
			return "gcloud artifacts repositories add-iam-policy-binding " + flags(r) + binding(found.Member, iampolicy.Role)
		}
	}
	return found.takeAway(conditional)
}

// takeAway takes the member out of the role. With a condition, which would have to
// be repeated to the letter, it only shows the policy.
func (found Finding) takeAway(conditional bool) string {
	ofRepository := found.Level == OfRepository
	switch {
	case conditional && ofRepository:
		return "gcloud artifacts repositories get-iam-policy " + flags(found.Repository)
	case conditional:
		return "gcloud projects get-iam-policy " + found.Project
	case ofRepository:
		return "gcloud artifacts repositories remove-iam-policy-binding " + flags(found.Repository) + binding(found.Member, found.Role)
	default:
		return "gcloud projects remove-iam-policy-binding " + found.Project + binding(found.Member, found.Role) + " --condition=None"
	}
}

func flags(r imageref.Repository) string {
	return fmt.Sprintf("%s --project=%s --location=%s", r.Name, r.Project, r.Location)
}

func binding(member, role string) string {
	if strings.Contains(member, "?") {
		member = "'" + member + "'"
	}
	return " --member=" + member + " --role=" + role
}
