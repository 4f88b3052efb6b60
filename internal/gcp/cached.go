// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"time"

	"k8s.io/utils/clock"

	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// How long an answer serves. An error that a person may fix is kept briefly. A transient
// error is not kept: the Client limits the retries.
const (
	repositoryTTL = 5 * time.Minute
	contentTTL    = 5 * time.Minute
	accountTTL    = time.Hour
	// poolAccountTTL is for accounts that are told of whole node pools, or of one
	// node for those of its group: they are replaced under the same name.
	poolAccountTTL   = 5 * time.Minute
	projectAccessTTL = time.Minute
	// briefTTL is for access and the policies that tell of it, which others change too, for
	// missing resources, and for errors that a person has to fix.
	briefTTL = 30 * time.Second
)

// How many answers are kept, the least used being dropped first.
const (
	maxRepositories = 4096
	maxAccesses     = 4096
	maxContents     = 8192
	maxAccounts     = 16384
	maxGroups       = 4096
)

// Cloud is what a Client does.
type Cloud interface {
	NodeAccount(ctx context.Context, node diagnosis.Node) (puller diagnosis.Puller, byPool bool)
	Repository(ctx context.Context, repo imageref.Repository) diagnosis.Repository
	Access(ctx context.Context, repo imageref.Repository, member string) diagnosis.Access
	ProjectAccess(ctx context.Context, repo imageref.Repository, member string) diagnosis.Access
	Overall(ctx context.Context, repo imageref.Repository, member string) diagnosis.Overall
	Content(ctx context.Context, image imageref.Image) diagnosis.Content
	Absent(ctx context.Context, repo imageref.Repository, members []string) ([]string, error)
	Prepare(ctx context.Context, repo imageref.Repository, edit iampolicy.Edit) (*Prepared, error)
}

// Cached answers reads from memory for a while. Reads of the same thing at the
// same time are one read. It is safe for concurrent use.
type Cached struct {
	cloud           Cloud
	accounts        *cache[diagnosis.Node, nodeAccount]
	groups          *cache[nodeGroup, groupAccount]
	repositories    *cache[imageref.Repository, diagnosis.Repository]
	accesses        *cache[accessKey, diagnosis.Access]
	projectAccesses *cache[projectKey, diagnosis.Access]
	overalls        *cache[accessKey, diagnosis.Overall]
	contents        *cache[imageref.Image, diagnosis.Content]
}

type nodeAccount struct {
	puller diagnosis.Puller
	// byPool: the GKE API told of the pool; byGroup: another node of the group was asked for.
	byPool, byGroup bool
}

// ttl is how long an answer serves the node. What is known of its group is
// kept there alone, so that it does not serve longer than that.
func (a nodeAccount) ttl() time.Duration {
	switch {
	case a.byGroup:
		return 0
	case a.byPool:
		return ttl(a.puller.State, a.puller.Obstacle, poolAccountTTL)
	default:
		return ttl(a.puller.State, a.puller.Obstacle, accountTTL)
	}
}

type accessKey struct {
	repository imageref.Repository
	member     string
}

type projectKey struct{ project, member string }

// NewCached puts a cache before cloud.
func NewCached(cloud Cloud, c clock.PassiveClock) *Cached {
	unasked := nodeAccount{puller: diagnosis.Puller{Obstacle: givenUp}}
	return &Cached{
		cloud:    cloud,
		accounts: newCache[diagnosis.Node](c, maxAccounts, unasked, nodeAccount.ttl),
		groups:   newCache[nodeGroup](c, maxGroups, groupAccount{nodeAccount: unasked}, groupTTL),
		repositories: newCache[imageref.Repository](c, maxRepositories, diagnosis.Repository{Obstacle: givenUp}, func(r diagnosis.Repository) time.Duration {
			return ttl(r.State, r.Obstacle, repositoryTTL)
		}),
		accesses: newCache[accessKey](c, maxAccesses, diagnosis.Access{Obstacle: givenUp}, func(a diagnosis.Access) time.Duration {
			return ttl(a.State, a.Obstacle, briefTTL)
		}),
		projectAccesses: newCache[projectKey](c, maxAccesses, diagnosis.Access{Obstacle: givenUp}, func(a diagnosis.Access) time.Duration {
			if a.State == diagnosis.Missing {
				return projectAccessTTL
			}
			return ttl(a.State, a.Obstacle, projectAccessTTL)
		}),
		overalls: newCache[accessKey](c, maxAccesses, diagnosis.Overall{Obstacle: givenUp}, func(a diagnosis.Overall) time.Duration {
			return ttl(a.State, a.Obstacle, briefTTL)
		}),
		contents: newCache[imageref.Image](c, maxContents, diagnosis.Content{Obstacle: givenUp}, func(found diagnosis.Content) time.Duration {
			return ttl(found.State, found.Obstacle, contentTTL)
		}),
	}
}

// ttl is long only for what was found.
func ttl(state diagnosis.State, obstacle diagnosis.Obstacle, found time.Duration) time.Duration {
	switch {
	case state == diagnosis.Present:
		return found
	case obstacle.Kind == diagnosis.Unavailable:
		return 0
	default:
		return briefTTL
	}
}

// givenUp is the obstacle of a caller that did not wait for the answer.
var givenUp = diagnosis.Obstacle{Kind: diagnosis.Unavailable, Detail: "the answer was not waited for"}

// NodeAccount is Client.NodeAccount, from memory for up to an hour: an account is
// changed only while the instance is stopped. What the GKE API told serves for up
// to five minutes, and so does for a node what Compute Engine told of another one of
// its group: of a node pool that fails as a whole, one instance is read for each
// zone.
func (c *Cached) NodeAccount(ctx context.Context, node diagnosis.Node) diagnosis.Puller {
	return c.accounts.get(ctx, node, func(ctx context.Context) nodeAccount { return c.account(ctx, node) }).puller
}

// Repository is Client.Repository, from memory for up to five minutes.
func (c *Cached) Repository(ctx context.Context, repo imageref.Repository) diagnosis.Repository {
	return c.repositories.get(ctx, repo, func(ctx context.Context) diagnosis.Repository {
		return c.cloud.Repository(ctx, repo)
	})
}

// Access is Client.Access, from memory until our own next write, and for half a
// minute at most. The policy that it rests on may be older by as much, or be the one
// that we wrote ourselves.
func (c *Cached) Access(ctx context.Context, repo imageref.Repository, member string) diagnosis.Access {
	key := accessKey{repository: repo, member: member}
	return c.accesses.get(ctx, key, func(ctx context.Context) diagnosis.Access {
		return c.cloud.Access(ctx, repo, member)
	})
}

// ProjectAccess is Client.ProjectAccess, from memory for up to a minute. It is
// one answer for all repositories of a project.
func (c *Cached) ProjectAccess(ctx context.Context, repo imageref.Repository, member string) diagnosis.Access {
	key := projectKey{project: repo.Project, member: member}
	return c.projectAccesses.get(ctx, key, func(ctx context.Context) diagnosis.Access {
		return c.cloud.ProjectAccess(ctx, repo, member)
	})
}

// Overall is Client.Overall, from memory as Access is.
func (c *Cached) Overall(ctx context.Context, repo imageref.Repository, member string) diagnosis.Overall {
	key := accessKey{repository: repo, member: member}
	return c.overalls.get(ctx, key, func(ctx context.Context) diagnosis.Overall {
		return c.cloud.Overall(ctx, repo, member)
	})
}

// Content is Client.Content, from memory for up to five minutes if the image is
// there: somebody may be pushing the one that is not.
func (c *Cached) Content(ctx context.Context, image imageref.Image) diagnosis.Content {
	return c.contents.get(ctx, image, func(ctx context.Context) diagnosis.Content {
		return c.cloud.Content(ctx, image)
	})
}

// Absent answers as the Client does: it is asked seldom, and for what is there now.
func (c *Cached) Absent(ctx context.Context, repo imageref.Repository, members []string) ([]string, error) {
	return c.cloud.Absent(ctx, repo, members)
}

// Prepare is Client.Prepare. If nothing is to be changed, and after Commit, also if it failed,
// no access to the repository is answered from before.
func (c *Cached) Prepare(ctx context.Context, repo imageref.Repository, edit iampolicy.Edit) (*Prepared, error) {
	prepared, err := c.cloud.Prepare(ctx, repo, edit)
	if err != nil {
		return nil, err
	}
	prepared.forget = func() { c.forgetAccess(repo) }
	if prepared.Change().Empty() {
		prepared.forget()
	}
	return prepared, nil
}

func (c *Cached) forgetAccess(repo imageref.Repository) {
	stale := func(key accessKey) bool { return key.repository == repo }
	c.overalls.drop(stale)
	c.accesses.drop(stale)
}
