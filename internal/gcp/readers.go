// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"slices"
	"sync"

	"cloud.google.com/go/iam/apiv1/iampb"
	"golang.org/x/sync/errgroup"

	"github.com/pull-access/pull-access-operator/internal/audit"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// maxRolesOfAudit bounds the roles that are looked up for one policy, of which one
// of a project may bind many. IAM refuses policies that are much larger.
const maxRolesOfAudit = 512

// parallel is how many calls one question makes at a time.
const parallel = 8

// Readers lists who can read images by the repository's own policy. Roles that are
// not known by heart are looked up; members of one that cannot be are undecided.
func (c *Client) Readers(ctx context.Context, repo imageref.Repository) audit.Access {
	policy, f := c.getIAMPolicy(ctx, repo)
	return c.everyone(ctx, policy, f, repo.Project, permissionGetPolicy)
}

// ProjectReaders lists who can read images by the policy of a project, which all
// its repositories inherit.
func (c *Client) ProjectReaders(ctx context.Context, project string) audit.Access {
	policy, f := c.projectPolicy(ctx, project)
	return c.everyone(ctx, policy, f, project, permissionGetProjectPolicy)
}

func (c *Client) everyone(ctx context.Context, policy *iampb.Policy, f *fault, project, permission string) audit.Access {
	switch {
	case f != nil && f.kind == notFound:
		return audit.Access{State: diagnosis.Missing}
	case f != nil:
		return audit.Access{Obstacle: c.obstacle(ctx, f, project, permission)}
	}
	_, unknown := iampolicy.Everyone(policy, nil)
	looked, obstacles := c.reaches(ctx, unknown)
	readers, undecided := iampolicy.Everyone(policy, looked)
	access := audit.Access{State: diagnosis.Present, Readers: readers}
	for _, reader := range undecided {
		n := len(access.Undecided)
		if n == 0 || access.Undecided[n-1].Role != reader.Role { // They come sorted by role.
			access.Undecided = append(access.Undecided, audit.Undecided{Role: reader.Role, Obstacle: obstacles[reader.Role]})
			n++
		}
		of := &access.Undecided[n-1]
		of.Members = append(of.Members, reader.Member)
	}
	return access
}

// reaches looks up the roles of members, several at a time. Each role is either
// found, or has an obstacle.
func (c *Client) reaches(ctx context.Context, of []iampolicy.Reader) (map[string]iampolicy.Reach, map[string]diagnosis.Obstacle) {
	var roles []string
	for _, reader := range of {
		roles = append(roles, reader.Role)
	}
	slices.Sort(roles)
	roles = slices.Compact(roles)
	var mu sync.Mutex
	found, obstacles := map[string]iampolicy.Reach{}, map[string]diagnosis.Obstacle{}
	var group errgroup.Group
	group.SetLimit(parallel)
	for n, name := range roles {
		group.Go(func() error {
			reach, f := iampolicy.Reach{}, &fault{kind: invalid, detail: "too many roles are to be looked up"}
			if n < maxRolesOfAudit {
				reach, f = c.role(ctx, name)
			}
			mu.Lock()
			defer mu.Unlock()
			if f != nil {
				obstacles[name] = unreadableRole(name, f)
				return nil
			}
			found[name] = reach
			return nil
		})
	}
	_ = group.Wait() // None of them fails: what is not found has an obstacle.
	return found, obstacles
}
