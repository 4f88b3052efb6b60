// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"regexp"

	"google.golang.org/api/iam/v1"

	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
)

// permissionGetRole is what looking up a custom role takes; Google's own are
// shown to everybody.
const permissionGetRole = "iam.roles.get"

// maxLookUps bounds the roles that are looked up for one answer.
const maxLookUps = 32

// roleName is a role of Google's, of a project's or of an organization's.
// https://cloud.google.com/iam/docs/roles-overview#role-components
var roleName = regexp.MustCompile(
	`^(roles|projects/([a-z0-9][a-z0-9.-]*:)?[a-z0-9][a-z0-9-]*/roles|organizations/[0-9]+/roles)/[A-Za-z0-9_][A-Za-z0-9_.]{0,127}$`)

// holding looks up which of the roles let somebody pull. Roles that could not be
// looked up are left out, and the obstacle says why of the first one.
func (c *Client) holding(ctx context.Context, roles []string) (map[string]bool, diagnosis.Obstacle) {
	found := map[string]bool{}
	var obstacle diagnosis.Obstacle
	for n, name := range roles {
		reach, f := iampolicy.Reach{}, &fault{kind: invalid, detail: "too many roles are to be looked up"}
		if n < maxLookUps {
			reach, f = c.role(ctx, name)
		}
		if f == nil {
			found[name] = reach.Reads
			continue
		}
		if obstacle == (diagnosis.Obstacle{}) {
			obstacle = unreadableRole(name, f)
		}
		if n >= maxLookUps {
			break
		}
	}
	return found, obstacle
}

// unreadableRole says which role is in the way. It is never Forbidden: of that
// people are shown the permission alone, and not the role that it is for.
func unreadableRole(name string, f *fault) diagnosis.Obstacle {
	o := f.obstacle(permissionGetRole)
	if o.Permission != "" {
		o.Detail = "the asking account lacks permission " + o.Permission
	}
	switch o.Kind {
	case diagnosis.Unavailable, diagnosis.QuotaProjectDenied, diagnosis.ConsumerInvalid:
	default:
		o.Kind, o.Permission = diagnosis.Unreadable, ""
	}
	o.Detail = "role " + clean(name) + " cannot be read: " + o.Detail
	return o
}

// role tells what a role lets somebody do; one that is deleted or off, nothing.
func (c *Client) role(ctx context.Context, name string) (iampolicy.Reach, *fault) {
	if !roleName.MatchString(name) {
		return iampolicy.Reach{}, &fault{kind: invalid, detail: "this is no name of a role"}
	}
	return remember(ctx, c.shared.roles, name, func(ctx context.Context) (iampolicy.Reach, *fault) {
		var role *iam.Role
		f := c.readCall(ctx, targetOf(identityManagement, name), func(ctx context.Context, s *apis) (err error) {
			// Where a role is kept is part of its name, so one method finds them all.
			role, err = s.roles.Roles.Get(name).Fields("includedPermissions", "deleted", "stage").Context(ctx).Do()
			return err
		})
		if f != nil || role.Deleted || role.Stage == "DISABLED" {
			return iampolicy.Reach{}, f
		}
		return iampolicy.ReachOf(role.IncludedPermissions), nil
	})
}
