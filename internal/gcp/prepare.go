// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	"github.com/googleapis/gax-go/v2/callctx"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// commitWithin is how long after Prepare its change may be sent, and the call may take. It
// is shorter than the leader's lease lasts without renewal.
const commitWithin = 10 * time.Second

// reasonHeader ends up in the audit log's requestAttributes.reason.
const reasonHeader = "x-goog-request-reason"

// Prepared is a verified change of one repository's IAM policy, bound to the etag that was
// read. Client.Prepare makes it, and nothing else can. The zero value commits nothing.
type Prepared struct {
	client        *Client
	repository    imageref.Repository
	edit          iampolicy.Edit
	before, after *iampb.Policy
	change        iampolicy.Change
	readTime      time.Time
	// committed is set by the first Commit.
	committed atomic.Bool
	// forget, if set, drops the cached answers that the write makes wrong.
	forget func()
}

// Prepare reads the repository's IAM policy from Google, never from a cache, edits it and
// verifies the difference. The read retries transient errors, and is made also while other
// reads wait for an outage to end. Nothing is written. Errors are those of iampolicy.
func (c *Client) Prepare(ctx context.Context, repository imageref.Repository, edit iampolicy.Edit) (*Prepared, error) {
	before, f := c.getIAMPolicyNow(ctx, repository)
	if f != nil {
		return nil, fmt.Errorf("read IAM policy of repository %s: %w", repository, f)
	}
	c.keepRead(repository, before)
	after, change, err := iampolicy.Apply(before, edit)
	if err == nil && !change.Empty() {
		err = iampolicy.Verify(before, after, change)
	}
	if err != nil {
		return nil, fmt.Errorf("edit IAM policy of repository %s: %w", repository, err)
	}
	return &Prepared{
		client: c, repository: repository, edit: edit, before: before, after: after, change: change, readTime: c.clock.Now(),
	}, nil
}

// Change returns the difference that Commit sends, and what the edit found done already.
func (p *Prepared) Change() iampolicy.Change { return p.change }

// Etag returns the etag that was read, as Google writes it.
func (p *Prepared) Etag() string { return etagOf(p.before) }

// HashBefore returns the hash of the IAM policy that was read.
func (p *Prepared) HashBefore() string { return iampolicy.Hash(p.before) }

// HashAfter returns the hash of the IAM policy that Commit sends.
func (p *Prepared) HashAfter() string { return iampolicy.Hash(p.after) }

// Commit sends the change once, under the etag that Prepare read, and never resends it. The
// reason goes to Cloud Audit Logs. 10 seconds after Prepare, Commit refuses and cancels a
// call under way. Errors are those of iampolicy:
//   - ErrConflict: another writer was first. Google did not apply the change.
//   - ErrStale: it is too late, the change was committed before, or an account of another
//     member was deleted. Google did not apply the change; it can be prepared again.
//   - ErrUncertain, beside another: Google did not answer. It may apply the change later.
//   - ErrUnavailable alone: Google answered that it cannot now. The next read shows whether
//     it applied the change.
//   - Any other: Google refuses the change.
func (p *Prepared) Commit(ctx context.Context, reason string) (iampolicy.Write, error) {
	if p.forget != nil {
		defer p.forget()
	}
	if p.client == nil || p.change.Empty() {
		return iampolicy.Write{}, iampolicy.ErrGuard
	}
	left := commitWithin - p.client.clock.Since(p.readTime)
	if left <= 0 || p.committed.Swap(true) {
		return iampolicy.Write{}, fmt.Errorf("write IAM policy of repository %s: %w", p.repository, iampolicy.ErrStale)
	}
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	answer, f := p.client.setIAMPolicy(ctx, p.repository, p.after, reason)
	if f != nil {
		p.client.dropPolicy(p.repository)
		return iampolicy.Write{}, fmt.Errorf("write IAM policy of repository %s: %w", p.repository, p.judge(f))
	}
	p.client.keepWritten(p.repository, answer)
	return iampolicy.Write{Change: p.change, EtagBefore: etagOf(p.before), EtagAfter: etagOf(answer)}, nil
}

// judge adds to the error of a write what it means for the change.
func (p *Prepared) judge(f *fault) error {
	switch {
	case f.uncertain:
		return fmt.Errorf("%w (%w)", f, iampolicy.ErrUncertain)
	case f.kind != missingAccount:
		return f
	}
	member := v1alpha1.ServiceAccountMember(f.account)
	for _, ours := range slices.Concat(p.edit.Add, p.edit.Remove) {
		if iampolicy.SameMember(ours, member) {
			return &iampolicy.MissingMemberError{Member: ours}
		}
	}
	return fmt.Errorf("%w (%w)", f, iampolicy.ErrStale) // The next read shows the account as deleted.
}

// setIAMPolicy writes the IAM policy. It wants to see the same readers in the answer.
func (c *Client) setIAMPolicy(ctx context.Context, repository imageref.Repository, policy *iampb.Policy, reason string) (*iampb.Policy, *fault) {
	if reason = headerValue(reason); reason != "" {
		ctx = callctx.SetHeaders(ctx, reasonHeader, reason)
	}
	var answer *iampb.Policy
	f := c.call(ctx, func(ctx context.Context, s *apis) (err error) {
		answer, err = s.artifacts.SetIamPolicy(ctx, &iampb.SetIamPolicyRequest{Resource: repository.ResourceName(), Policy: policy})
		return err
	})
	if f == nil && !iampolicy.SameReaders(policy, answer) {
		f = &fault{uncertain: true, detail: "Google accepted the policy but returned different members"}
	}
	return answer, f
}

// wait lets d pass by the client's clock, or stops with the context.
func (c *Client) wait(ctx context.Context, d time.Duration) error {
	timer := c.clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C():
		return ctx.Err()
	}
}

// etagOf writes an etag as Google's JSON does.
func etagOf(policy *iampb.Policy) string { return base64.StdEncoding.EncodeToString(policy.GetEtag()) }
