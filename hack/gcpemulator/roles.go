// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"slices"
	"strings"

	"cloud.google.com/go/iam/apiv1/iampb"
)

const (
	permissionGet         = "artifactregistry.repositories.get"
	permissionList        = "artifactregistry.repositories.list"
	permissionLocations   = "artifactregistry.locations.list"
	permissionDownload    = "artifactregistry.repositories.downloadArtifacts"
	permissionGetIAM      = "artifactregistry.repositories.getIamPolicy"
	permissionSetIAM      = "artifactregistry.repositories.setIamPolicy"
	permissionTag         = "artifactregistry.tags.get"
	permissionTags        = "artifactregistry.tags.list"
	permissionImage       = "artifactregistry.dockerimages.get"
	permissionImages      = "artifactregistry.dockerimages.list"
	permissionReadVirtual = "artifactregistry.repositories.readViaVirtualRepository"
	permissionPackage     = "artifactregistry.packages.get"
	permissionPackages    = "artifactregistry.packages.list"
	permissionVersion     = "artifactregistry.versions.get"
	permissionVersions    = "artifactregistry.versions.list"
	permissionCreate      = "artifactregistry.repositories.create"

	permissionProject     = "resourcemanager.projects.get"
	permissionProjectIAM  = "resourcemanager.projects.getIamPolicy"
	permissionSetProject  = "resourcemanager.projects.setIamPolicy"
	permissionBilling     = "resourcemanager.projects.getBillingInfo"
	permissionRole        = "iam.roles.get"
	permissionAccount     = "iam.serviceAccounts.get"
	permissionDenials     = "iam.denypolicies.get"
	permissionInstance    = "compute.instances.get"
	permissionCluster     = "container.clusters.get"
	permissionPool        = "container.clusters.update"
	permissionPoolWatch   = "container.operations.get"
	permissionEnable      = "serviceusage.services.enable"
	permissionLogs        = "logging.logEntries.list"
	permissionUseServices = "serviceusage.services.use"
)

var (
	pullPermissions = []string{
		permissionGet, permissionList, permissionLocations, permissionDownload, permissionReadVirtual,
		permissionTag, permissionTags, permissionImage, permissionImages,
		permissionPackage, permissionPackages, permissionVersion, permissionVersions,
	}
	viewPermissions  = slices.Concat(pullPermissions, []string{permissionGetIAM})
	pushPermissions  = slices.Concat(pullPermissions, []string{"artifactregistry.repositories.uploadArtifacts"})
	adminPermissions = slices.Concat(pushPermissions, []string{permissionGetIAM, permissionSetIAM, permissionCreate})

	// The basic roles reach every service; changing policies is the owner's alone.
	viewAll = slices.Concat(viewPermissions, []string{
		permissionProject, permissionProjectIAM, permissionBilling, permissionRole, permissionAccount,
		permissionInstance, permissionCluster, permissionPoolWatch, permissionLogs,
	})
	editAll = slices.Concat(viewAll, pushPermissions, []string{
		permissionCreate, permissionPool, permissionEnable, permissionUseServices,
	})
	ownAll = slices.Concat(editAll, []string{permissionSetIAM, permissionSetProject, permissionDenials})
)

// roles holds the ready-made roles that a repository's policy accepts here, with
// the permissions that the emulator judges by. Many more than reader can pull.
var roles = map[string][]string{
	"roles/artifactregistry.reader":                          pullPermissions,
	"roles/artifactregistry.viewer":                          viewPermissions,
	"roles/artifactregistry.writer":                          pushPermissions,
	"roles/artifactregistry.editor":                          pushPermissions,
	"roles/artifactregistry.repoAdmin":                       pushPermissions,
	"roles/artifactregistry.createOnPushWriter":              pushPermissions,
	"roles/artifactregistry.createOnPushRepoAdmin":           pushPermissions,
	"roles/artifactregistry.serviceAgent":                    pushPermissions,
	"roles/artifactregistry.admin":                           adminPermissions,
	"roles/artifactregistry.containerRegistryMigrationAdmin": adminPermissions,
	"roles/viewer":  viewAll,
	"roles/editor":  editAll,
	"roles/owner":   ownAll,
	"roles/browser": {permissionProject, permissionProjectIAM},
	"roles/container.defaultNodeServiceAccount": nil,
	"roles/container.clusterViewer":             {permissionCluster, "container.clusters.list", permissionProject},
	"roles/container.admin":                     {permissionCluster, permissionPool, permissionPoolWatch, permissionProject},
	"roles/iam.securityAdmin":                   {permissionGetIAM, permissionSetIAM, permissionList, permissionProjectIAM, permissionSetProject},
	"roles/iam.securityReviewer":                {permissionGetIAM, permissionList, permissionProject, permissionProjectIAM, permissionRole},
	"roles/iam.denyReviewer":                    {permissionDenials, "iam.denypolicies.list"},
	"roles/iam.roleViewer":                      {permissionRole, permissionProject, permissionProjectIAM},
	"roles/compute.viewer":                      {permissionInstance, "compute.instances.list"},
	"roles/serviceusage.serviceUsageConsumer":   {permissionUseServices},
	"roles/storage.objectViewer":                {"storage.objects.get", "storage.objects.list"},
}

// AddRole makes a custom role, "projects/P/roles/R" or "organizations/N/roles/R".
func (e *Emulator) AddRole(name string, permissions ...string) {
	e.state.mu.Lock()
	defer e.state.mu.Unlock()
	e.state.roles[name] = slices.Clone(permissions)
}

// RestrictCaller gives a caller exactly these permissions, whatever IAM policies
// say; an empty email is the caller who sends no credential to an API. With none
// it may do nothing, as under a deny policy; it binds the registry too.
func (e *Emulator) RestrictCaller(email string, permissions ...string) {
	e.state.mu.Lock()
	defer e.state.mu.Unlock()
	e.state.callers[strings.ToLower(email)] = slices.Clone(permissions)
}

// UnrestrictCaller takes RestrictCaller back.
func (e *Emulator) UnrestrictCaller(email string) {
	e.state.mu.Lock()
	defer e.state.mu.Unlock()
	delete(e.state.callers, strings.ToLower(email))
}

// permissionsOf needs s.mu.
func (s *state) permissionsOf(role string) (permissions []string, known bool) {
	if permissions, known = s.roles[role]; known {
		return permissions, true
	}
	permissions, known = roles[role]
	return permissions, known
}

// may judges a call of an API by the policies as they were last written.
// A caller without a credential may do all: the operator under test sends none.
func (s *state) may(who identity, permission, resource string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.holds(who, permission, resource)
}

// holds is may for who has s.mu.
func (s *state) holds(who identity, permission, resource string) bool {
	if permissions, restricted := s.callers[strings.ToLower(who.email)]; restricted {
		return slices.Contains(permissions, permission)
	}
	return who.email == "" || s.granted(who, permission, resource, s.newest)
}

// mayPull judges a pull by the policies that have reached the registry.
func (s *state) mayPull(who identity, repository string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if who.email != "" {
		if !who.storageScope() {
			return false
		}
		if permissions, restricted := s.callers[strings.ToLower(who.email)]; restricted {
			return slices.Contains(permissions, permissionDownload)
		}
	}
	return s.granted(who, permissionDownload, repository, s.judged)
}

// granted looks for the permission in the policies of the resource and of all
// above it; a deny policy wins over them.
func (s *state) granted(who identity, permission, resource string, read func(string) *iampb.Policy) bool {
	if s.denied(who, permission, resource) {
		return false
	}
	for _, at := range s.lineage(resource) {
		for _, binding := range read(at).GetBindings() {
			permissions, _ := s.permissionsOf(binding.GetRole())
			if slices.Contains(permissions, permission) && conditionHolds(binding) == yes && s.includes(binding.GetMembers(), who) {
				return true
			}
		}
	}
	return false
}

// projectOf is "projects/P" of any resource name below it.
func projectOf(resource string) string {
	parts := strings.SplitN(resource, "/", 3)
	if len(parts) < 2 {
		return resource
	}
	return parts[0] + "/" + parts[1]
}

// is tells whether a member of a policy is this caller, groups aside.
func (who identity) is(member string) bool {
	switch member {
	case "allUsers":
		return true
	case "allAuthenticatedUsers":
		return who.email != ""
	}
	return who.email != "" &&
		(strings.EqualFold(member, "serviceAccount:"+who.email) || strings.EqualFold(member, "user:"+who.email))
}
