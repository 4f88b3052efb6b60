// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"

	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// knownPolicy is the IAM policy of a repository as Google returned it. Several callers share
// it, so it is never changed.
type knownPolicy struct {
	*iampb.Policy
	at time.Time
	// written: it is the answer to our own write. Else it was read.
	written bool
}

// policyTTL keeps policies and no faults. The callers cache their own conclusions from a
// fault.
func policyTTL(r read[*knownPolicy]) time.Duration {
	switch {
	case r.fault != nil:
		return 0
	case r.value.written:
		return writtenTTL
	default:
		return briefTTL
	}
}

// knownPolicyOf gives the repository's policy from memory, or reads it once for all who ask.
func (c *Client) knownPolicyOf(ctx context.Context, repo imageref.Repository) (*knownPolicy, *fault) {
	return remember(ctx, c.shared.policies, repo, func(ctx context.Context) (*knownPolicy, *fault) {
		policy, f := c.getIAMPolicy(ctx, repo)
		return &knownPolicy{Policy: policy, at: c.clock.Now()}, f
	})
}

// freshPolicy reads the repository's policy anew. It is what is remembered from then on,
// unless we have written since.
func (c *Client) freshPolicy(ctx context.Context, repo imageref.Repository) (*knownPolicy, *fault) {
	c.dropPolicy(repo)
	return c.knownPolicyOf(ctx, repo)
}

// replacePolicy reads anew in place of what was found in memory, once for all who found that.
func (c *Client) replacePolicy(ctx context.Context, repo imageref.Repository, old *knownPolicy) (*knownPolicy, *fault) {
	c.shared.policies.forget(repo, func(r read[*knownPolicy]) bool { return r.value == old })
	return c.knownPolicyOf(ctx, repo)
}

// aged tells whether our own write is too old to tell that somebody is not in: who has access by it still
// has, as it takes a person to take that away. Whether others got it since has to be read.
func (c *Client) aged(policy *knownPolicy) bool {
	return policy.written && c.clock.Since(policy.at) > briefTTL
}

// keepRead remembers what was read for a write.
func (c *Client) keepRead(repo imageref.Repository, policy *iampb.Policy) {
	c.shared.policies.put(repo, read[*knownPolicy]{value: &knownPolicy{Policy: policy, at: c.clock.Now()}})
}

// keepWritten remembers what Google answered to our own write. What was read before
// it, or is being read, is forgotten.
func (c *Client) keepWritten(repo imageref.Repository, policy *iampb.Policy) {
	c.shared.policies.put(repo, read[*knownPolicy]{value: &knownPolicy{Policy: policy, at: c.clock.Now(), written: true}})
}

func (c *Client) dropPolicy(repo imageref.Repository) {
	c.shared.policies.drop(func(key imageref.Repository) bool { return key == repo })
}
