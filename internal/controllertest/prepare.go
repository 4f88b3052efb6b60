// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllertest

import (
	"context"
	"encoding/base64"
	"fmt"

	"cloud.google.com/go/iam/apiv1/iampb"

	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// Prepared is a change of a repository's IAM policy that can be written once.
type Prepared struct {
	cloud         *Cloud
	repository    imageref.Repository
	before, after *iampb.Policy
	change        iampolicy.Change
	committed     bool
}

// Prepare edits the repository's IAM policy by the function that the adapter uses.
func (c *Cloud) Prepare(_ context.Context, repository imageref.Repository, edit iampolicy.Edit) (*Prepared, error) {
	if err := c.call(MethodPrepare, repository.String()); err != nil {
		return nil, fmt.Errorf("read IAM policy of repository %s: %w", repository, err)
	}
	before := c.IAMPolicies[repository.Name]
	after, change, err := iampolicy.Apply(before, edit)
	if err != nil {
		return nil, fmt.Errorf("edit IAM policy of repository %s: %w", repository, err)
	}
	if c.OnRead != nil {
		c.OnRead(len(c.Calls.Of(MethodPrepare)))
	}
	return &Prepared{cloud: c, repository: repository, before: before, after: after, change: change}, nil
}

// Change returns what Commit changes, and what the edit found.
func (p *Prepared) Change() iampolicy.Change { return p.change }

// Etag returns the etag that was read, as Google writes it.
func (p *Prepared) Etag() string { return etagOf(p.before) }

// Commit writes the change as the next of Answers says. Without one, it succeeds while the
// IAM policy has the etag that was read.
func (p *Prepared) Commit(_ context.Context, reason string) (iampolicy.Write, error) {
	written, err := p.commit(reason)
	if err != nil {
		return iampolicy.Write{}, fmt.Errorf("write IAM policy of repository %s: %w", p.repository, err)
	}
	return written, nil
}

func (p *Prepared) commit(reason string) (iampolicy.Write, error) {
	c := p.cloud
	if err := c.call(MethodCommit, p.repository.String()); err != nil {
		return iampolicy.Write{}, err
	}
	switch {
	case p.change.Empty():
		return iampolicy.Write{}, iampolicy.ErrGuard
	case p.committed:
		return iampolicy.Write{}, iampolicy.ErrStale
	}
	p.committed = true
	c.Reasons, c.Sent = append(c.Reasons, reason), append(c.Sent, p.change)
	for _, member := range p.change.Added {
		if err := c.Refused[member]; err != nil {
			return iampolicy.Write{}, err
		}
	}
	var answer Answer
	if len(c.Answers) > 0 {
		answer, c.Answers = c.Answers[0], c.Answers[1:]
	}
	if answer.Err != nil && !answer.Applied {
		return iampolicy.Write{}, answer.Err
	}
	if etagOf(c.IAMPolicies[p.repository.Name]) != p.Etag() {
		return iampolicy.Write{}, iampolicy.ErrConflict
	}
	p.after.Etag = fmt.Appendf(nil, "etag-%d", len(c.Sent))
	c.IAMPolicies[p.repository.Name] = p.after
	return iampolicy.Write{Change: p.change, EtagBefore: p.Etag(), EtagAfter: etagOf(p.after)}, answer.Err
}

// Etag returns the etag of the repository's IAM policy, as Google writes it.
func (c *Cloud) Etag(repository string) string { return etagOf(c.IAMPolicies[repository]) }

func etagOf(policy *iampb.Policy) string {
	return base64.StdEncoding.EncodeToString(policy.GetEtag())
}
