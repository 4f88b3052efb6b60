// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	"github.com/googleapis/gax-go/v2"
	"github.com/googleapis/gax-go/v2/callctx"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

const (
	// maxAttempts bounds the rounds of reading, editing and writing.
	maxAttempts = 6
	// maxConflicts bounds them while Google answers, and others write first: the
	// last of twenty writers needs more than six.
	maxConflicts = 10
	// maxRetryAfter is the longest that a worker is held; whoever asks for more
	// is asked again by the caller.
	maxRetryAfter = 2 * time.Minute
	// reasonHeader ends up in the audit log's requestAttributes.reason.
	reasonHeader = "x-goog-request-reason"
)

// Write is what came of an edit.
type Write = iampolicy.Write

// Recorder keeps on record what an edit is about to send.
type Recorder = interface {
	// Intend is called before each write, with the etag it will be sent under. If it
	// fails, nothing is sent.
	Intend(ctx context.Context, intended iampolicy.Change, etag string) error
	// Withdraw is called when Google has refused what was recorded because another
	// writer was first: nothing of it is under way, and whoever is found in the policy
	// from then on was put there by somebody else. If it fails, the edit ends.
	Withdraw(ctx context.Context) error
}

// EditPolicy reads the repository's policy, edits it and writes it back under
// the etag it read; nothing is written if the edit changes nothing. It repeats
// all of that when somebody else wrote first, or Google did not answer, and
// nothing that cannot succeed. Each write is on record before it is sent. The
// reason is sent along for Cloud Audit Logs.
//
// A write, and nothing else, may rest on what was read for Access or Absent in the
// last half minute: its etag tells Google if somebody wrote since. Where that has
// happened, all is read anew for five minutes.
//
// Errors are iampolicy's, or the record's own, wrapped; ErrUncertain is among them
// when a write may have taken effect all the same.
func (c *Client) EditPolicy(ctx context.Context, repo imageref.Repository, edit iampolicy.Edit, reason string, record Recorder) (Write, error) {
	e := &editing{client: c, repo: repo, edit: edit, reason: headerValue(reason), record: record}
	spent := c.spendPolicy(repo)
	e.known = spent
	write, err := e.run(ctx)
	switch {
	case e.written != nil && err == nil:
		c.keepWritten(repo, e.written)
	case spent != nil && !e.asked:
		spent.spent.Store(false) // Nothing was sent, so it is as good as before.
	default:
		c.dropPolicy(repo)
	}
	switch {
	case err == nil:
		return write, nil
	case e.claims.any():
		return write, fmt.Errorf("edit policy of repository %s: %w (%w)", repo, err, iampolicy.ErrUncertain)
	default:
		return write, fmt.Errorf("edit policy of repository %s: %w", repo, err)
	}
}

// editing is one EditPolicy on its way.
type editing struct {
	client *Client
	repo   imageref.Repository
	edit   iampolicy.Edit
	reason string
	record Recorder
	// known is what the first attempt may rest on, nil if it has to read.
	known *knownPolicy
	// asked: Google was asked to read or to write.
	asked bool
	// written is Google's answer to the write that was accepted.
	written *iampb.Policy

	claims claims
	// reread: Google missed a member that is not ours, and the policy was read again since.
	reread bool
}

func (e *editing) run(ctx context.Context) (Write, error) {
	outage := gax.Backoff{Initial: time.Second, Max: 32 * time.Second, Multiplier: 2}
	// A second conflict tells of a crowd, which has to spread at once; at twice as long
	// each time, twenty writers send four times as much as gets through.
	crowd := gax.Backoff{Initial: time.Second, Max: 32 * time.Second, Multiplier: 5}
	for attempt := 1; ; attempt++ {
		write, err := e.attempt(ctx)
		if err == nil {
			write.Attempts = attempt
			return write, nil
		}
		again, retryAfter, err := e.judge(err)
		backoff, limit := &outage, maxAttempts
		if errors.Is(err, iampolicy.ErrConflict) {
			backoff, limit = &crowd, maxConflicts
			if err := e.afterConflict(ctx); err != nil {
				return Write{Attempts: attempt}, err
			}
		}
		if !again || attempt >= limit {
			return Write{Attempts: attempt}, err
		}
		if stopped := e.client.wait(ctx, max(backoff.Pause(), retryAfter)); stopped != nil {
			return Write{Attempts: attempt}, fmt.Errorf("%w: %w", err, stopped)
		}
	}
}

// afterConflict has later edits read first, and withdraws what was recorded: unless an
// earlier write of ours may yet take effect, nothing of it is under way.
func (e *editing) afterConflict(ctx context.Context) error {
	e.client.shared.contested.put(e.repo, true)
	if e.claims.any() {
		return nil
	}
	if err := e.record.Withdraw(ctx); err != nil {
		return fmt.Errorf("withdraw the intent: %w", err)
	}
	return nil
}

// plan is an edit of one policy that the guard has passed.
type plan struct {
	before, after *iampb.Policy
	change        iampolicy.Change
}

// attempt is one round: read, edit, verify, record, write.
func (e *editing) attempt(ctx context.Context) (Write, error) {
	p, err := e.plan(ctx)
	if err != nil {
		return Write{}, err
	}
	write := Write{EtagBefore: etagOf(p.before), EtagAfter: etagOf(p.before)}
	e.claims.settle(p.before.GetEtag(), p.change)
	write.Change = e.claims.count(p.change)
	if p.change.Empty() {
		if e.claims.etag != "" {
			write.EtagBefore = e.claims.etag
		}
		return write, nil
	}
	if err := e.record.Intend(ctx, write.Change, write.EtagBefore); err != nil {
		return Write{}, fmt.Errorf("record the intent: %w", err)
	}
	e.asked = true
	answer, f := e.send(ctx, p.after)
	if f != nil {
		if f.uncertain {
			e.claims.open(p.before.GetEtag(), p.change)
		}
		return Write{}, f
	}
	write.EtagAfter, e.written = etagOf(answer), answer
	return write, nil
}

// plan edits what is known if that leads to a write, and else what it reads: from
// what was, it concludes neither that there is nothing to do nor that it can't be done.
func (e *editing) plan(ctx context.Context) (plan, error) {
	known := e.known
	e.known = nil // It is good for one attempt.
	if known != nil {
		if p, err := e.planFor(known.Policy); err == nil && !p.change.Empty() {
			return p, nil
		}
	}
	e.asked = true
	before, f := e.client.getIAMPolicyOnce(ctx, e.repo)
	if f != nil {
		return plan{}, f
	}
	return e.planFor(before)
}

func (e *editing) planFor(before *iampb.Policy) (plan, error) {
	after, change, err := iampolicy.Apply(before, e.edit)
	if err != nil {
		return plan{}, err
	}
	if !change.Empty() {
		err = iampolicy.Verify(before, after, change)
	}
	return plan{before: before, after: after, change: change}, err
}

// send writes the policy, and wants to see the same readers in the answer.
func (e *editing) send(ctx context.Context, policy *iampb.Policy) (*iampb.Policy, *fault) {
	if e.reason != "" {
		ctx = callctx.SetHeaders(ctx, reasonHeader, e.reason)
	}
	var answer *iampb.Policy
	f := e.client.call(ctx, func(ctx context.Context, s *apis) (err error) {
		answer, err = s.artifacts.SetIamPolicy(ctx, &iampb.SetIamPolicyRequest{
			Resource: e.repo.ResourceName(), Policy: policy,
		})
		return err
	})
	if f == nil && !iampolicy.SameReaders(policy, answer) {
		f = &fault{uncertain: true, detail: "Google accepted the policy but returned different members"}
	}
	return answer, f
}

// judge tells whether and when a further attempt may succeed, and what the
// error is called if there is none.
func (e *editing) judge(err error) (again bool, after time.Duration, _ error) {
	var f *fault
	if !errors.As(err, &f) {
		return false, 0, err // Not Google's doing.
	}
	if f.kind != missingAccount {
		return f.retryable() && f.retryAfter <= maxRetryAfter, f.retryAfter, f
	}
	member := v1alpha1.ServiceAccountMember(f.account)
	for _, ours := range slices.Concat(e.edit.Add, e.edit.Remove) {
		if iampolicy.SameMember(ours, member) {
			return false, 0, &iampolicy.MissingMemberError{Member: ours}
		}
	}
	// Another member's account was deleted since the policy was read: by now it is read as deleted.
	again, e.reread = !e.reread, true
	return again, 0, f
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
