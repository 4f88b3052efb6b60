// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"fmt"
	"slices"

	"cloud.google.com/go/iam/apiv1/iampb"

	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// unknownMember is the obstacle to any question about nobody.
var unknownMember = diagnosis.Obstacle{Kind: diagnosis.Unreadable, Detail: "who pulls is unknown"}

// Access says whether the repository's own policy lets member pull, by whatever
// role. Where that hangs on a role that cannot be looked up, it is Unknown. The
// policy may have been read half a minute ago. Who has access by what we wrote
// ourselves is believed to have it for five minutes.
func (c *Client) Access(ctx context.Context, repo imageref.Repository, member string) diagnosis.Access {
	if member == "" {
		return diagnosis.Access{Obstacle: unknownMember}
	}
	policy, f := c.knownPolicyOf(ctx, repo)
	if f == nil && c.aged(policy) && iampolicy.ReadersOf(policy.Policy, member, nil).Role == "" {
		policy, f = c.replacePolicy(ctx, repo, policy)
	}
	if f != nil {
		return diagnosis.Access{Obstacle: c.obstacle(ctx, f, repo.Project, permissionGetPolicy)}
	}
	return c.judge(ctx, policy.Policy, member)
}

// Absent names those of the members that are not in the one unconditional binding of
// iampolicy.Role on the repository, as read just now. Errors are iampolicy's.
func (c *Client) Absent(ctx context.Context, repo imageref.Repository, members []string) ([]string, error) {
	policy, f := c.freshPolicy(ctx, repo)
	if f != nil {
		return nil, fmt.Errorf("read policy of repository %s: %w", repo, f)
	}
	return slices.DeleteFunc(slices.Clone(members), func(m string) bool { return iampolicy.Holds(policy.Policy, m) }), nil
}

// ProjectAccess says the same of the policy of the repository's project, which
// its repositories inherit.
func (c *Client) ProjectAccess(ctx context.Context, repo imageref.Repository, member string) diagnosis.Access {
	if member == "" {
		return diagnosis.Access{Obstacle: unknownMember}
	}
	policy, f := c.projectPolicy(ctx, repo.Project)
	if f != nil {
		return diagnosis.Access{Obstacle: c.obstacle(ctx, f, repo.Project, permissionGetProjectPolicy)}
	}
	return c.judge(ctx, policy, member)
}

// judge says what policy gives to member; roles that it does not know by heart
// are looked up.
func (c *Client) judge(ctx context.Context, policy *iampb.Policy, member string) diagnosis.Access {
	roles, obstacle := c.holding(ctx, iampolicy.ReadersOf(policy, member, nil).Undecided)
	readers := iampolicy.ReadersOf(policy, member, roles)
	if readers.Role != "" {
		return diagnosis.Access{State: diagnosis.Present, Role: clean(readers.Role)}
	}
	access := diagnosis.Access{State: diagnosis.Missing, Deleted: readers.Deleted}
	for _, group := range readers.Groups[:min(len(readers.Groups), diagnosis.MaxGroups)] {
		access.Groups = append(access.Groups, clean(group))
	}
	switch {
	case len(readers.Undecided) > 0:
		access.State, access.Obstacle = diagnosis.Unknown, obstacle
	case readers.Conditional != "":
		access.State = diagnosis.Unknown
		access.Obstacle = unreadable("a condition decides whether its role " + clean(readers.Conditional) + " applies")
	}
	return access
}
