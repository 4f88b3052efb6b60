// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"path"
	"slices"
	"strings"
)

// DenyPolicy is a deny policy with one rule and without a condition. Principals
// and permissions are written as IAM's second version writes them:
//
//	principal://iam.googleapis.com/projects/-/serviceAccounts/EMAIL
//	principal://goog/subject/EMAIL
//	principalSet://goog/group/EMAIL
//	principalSet://goog/public:all
//	artifactregistry.googleapis.com/repositories.downloadArtifacts
type DenyPolicy struct {
	Name                                    string
	DeniedPrincipals, ExceptionPrincipals   []string
	DeniedPermissions, ExceptionPermissions []string
}

// SetDenyPolicy replaces the deny policies of a project, by its ID, or of
// "folders/N" or "organizations/N"; without policies it removes them. They bind
// the registry and all APIs, at once.
func (e *Emulator) SetDenyPolicy(at string, policies ...DenyPolicy) {
	if !strings.Contains(at, "/") {
		at = "projects/" + at
	}
	e.state.mu.Lock()
	defer e.state.mu.Unlock()
	e.state.denials[at] = slices.Clone(policies)
}

// denied needs s.mu, as does principalIs.
func (s *state) denied(who identity, permission, resource string) bool {
	if !deniable(permission) {
		return false
	}
	for _, at := range s.lineage(resource) {
		if slices.ContainsFunc(s.denials[at], func(p DenyPolicy) bool { return s.denies(p, who, permission) }) {
			return true
		}
	}
	return false
}

func (s *state) denies(p DenyPolicy, who identity, permission string) bool {
	is := func(principal string) bool { return s.principalIs(principal, who) }
	covers := func(pattern string) bool { return permissionMatches(pattern, permission) }
	return slices.ContainsFunc(p.DeniedPermissions, covers) && !slices.ContainsFunc(p.ExceptionPermissions, covers) &&
		slices.ContainsFunc(p.DeniedPrincipals, is) && !slices.ContainsFunc(p.ExceptionPrincipals, is)
}

const (
	principalAccount = "principal://iam.googleapis.com/projects/-/serviceAccounts/"
	principalUser    = "principal://goog/subject/"
	principalGroup   = "principalSet://goog/group/"
	principalAll     = "principalSet://goog/public:all"
)

func (s *state) principalIs(principal string, who identity) bool {
	if principal == principalAll {
		return true
	}
	if group, ok := strings.CutPrefix(principal, principalGroup); ok {
		return s.includes([]string{"group:" + group}, who)
	}
	for _, prefix := range []string{principalAccount, principalUser} {
		if email, ok := strings.CutPrefix(principal, prefix); ok {
			return who.email != "" && strings.EqualFold(email, who.email)
		}
	}
	return false
}

// permissionMatches compares a permission of a deny policy, which may hold
// wildcards, with one in the form of roles.
func permissionMatches(pattern, permission string) bool {
	matched, err := path.Match(pattern, permissionFQDN(permission))
	return err == nil && matched
}

// permissionServices are the services whose permissions do not begin with their name.
var permissionServices = map[string]string{"resourcemanager": "cloudresourcemanager"}

// permissionFQDN puts a permission in the form of deny policies.
func permissionFQDN(permission string) string {
	service, rest, _ := strings.Cut(permission, ".")
	if known, ok := permissionServices[service]; ok {
		service = known
	}
	return service + ".googleapis.com/" + rest
}

// permissionOfRoles puts a permission of either form in the form of roles.
func permissionOfRoles(permission string) string {
	service, rest, isFQDN := strings.Cut(permission, ".googleapis.com/")
	if !isFQDN {
		return permission
	}
	for short, long := range permissionServices {
		if service == long {
			service = short
		}
	}
	return service + "." + rest
}

// deniable tells whether deny policies may hold the permission at all; reading
// through a virtual repository and reading tags they may not.
func deniable(permission string) bool {
	return permission != permissionTag && permission != permissionReadVirtual
}
