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

// How long an answer serves. What may be cured by a person is asked for again soon.
const (
	repositoryTTL = 5 * time.Minute
	accountTTL    = time.Hour
	// briefTTL is for access, which others change too, for what is missing, and
	// for what could not be read.
	briefTTL = 30 * time.Second
)

// How many answers are kept, the least used being dropped first.
const (
	maxRepositories = 4096
	maxAccesses     = 4096
	maxAccounts     = 16384
)

// Cloud is what a Client does.
type Cloud interface {
	Repository(ctx context.Context, repo imageref.Repository) diagnosis.Repository
	Access(ctx context.Context, repo imageref.Repository, member string) diagnosis.Access
	NodeAccount(ctx context.Context, providerID string) diagnosis.Puller
	EditPolicy(ctx context.Context, repo imageref.Repository, edit iampolicy.Edit, reason string, record Recorder) (Write, error)
}

// Cached answers reads from memory for a while. Reads of the same thing at the
// same time are one read. It is safe for concurrent use.
type Cached struct {
	cloud        Cloud
	repositories *cache[imageref.Repository, diagnosis.Repository]
	accesses     *cache[accessKey, diagnosis.Access]
	accounts     *cache[string, diagnosis.Puller]
}

type accessKey struct {
	repository imageref.Repository
	member     string
}

// NewCached puts a cache before cloud.
func NewCached(cloud Cloud, c clock.PassiveClock) *Cached {
	return &Cached{
		cloud: cloud,
		repositories: newCache[imageref.Repository](c, maxRepositories, func(r diagnosis.Repository) time.Duration {
			return ttl(r.State, repositoryTTL)
		}),
		accesses: newCache[accessKey](c, maxAccesses, func(diagnosis.Access) time.Duration { return briefTTL }),
		accounts: newCache[string](c, maxAccounts, func(p diagnosis.Puller) time.Duration {
			return ttl(p.State, accountTTL)
		}),
	}
}

// ttl is long only for what was found.
func ttl(state diagnosis.State, found time.Duration) time.Duration {
	if state == diagnosis.Present {
		return found
	}
	return briefTTL
}

// Repository is Client.Repository, from memory for up to five minutes.
func (c *Cached) Repository(ctx context.Context, repo imageref.Repository) diagnosis.Repository {
	answer, err := c.repositories.get(ctx, repo, func(ctx context.Context) diagnosis.Repository {
		return c.cloud.Repository(ctx, repo)
	})
	if err != nil {
		return diagnosis.Repository{Obstacle: givenUp}
	}
	return answer
}

// Access is Client.Access, from memory until our own next write, and for half a
// minute at most.
func (c *Cached) Access(ctx context.Context, repo imageref.Repository, member string) diagnosis.Access {
	key := accessKey{repository: repo, member: member}
	answer, err := c.accesses.get(ctx, key, func(ctx context.Context) diagnosis.Access {
		return c.cloud.Access(ctx, repo, member)
	})
	if err != nil {
		return diagnosis.Access{Obstacle: givenUp}
	}
	return answer
}

// NodeAccount is Client.NodeAccount, from memory for up to an hour: an account is
// changed only while the instance is stopped.
func (c *Cached) NodeAccount(ctx context.Context, providerID string) diagnosis.Puller {
	answer, err := c.accounts.get(ctx, providerID, func(ctx context.Context) diagnosis.Puller {
		return c.cloud.NodeAccount(ctx, providerID)
	})
	if err != nil {
		return diagnosis.Puller{Obstacle: givenUp}
	}
	return answer
}

// EditPolicy is Client.EditPolicy. Afterwards, also after an error, no access to
// the repository is answered from before.
func (c *Cached) EditPolicy(ctx context.Context, repo imageref.Repository, edit iampolicy.Edit, reason string, record Recorder) (Write, error) {
	defer c.accesses.drop(func(key accessKey) bool { return key.repository == repo })
	return c.cloud.EditPolicy(ctx, repo, edit, reason, record)
}

// givenUp is the obstacle of a caller that did not wait for the answer.
var givenUp = diagnosis.Obstacle{Kind: diagnosis.Unavailable, Detail: "the answer was not waited for"}
