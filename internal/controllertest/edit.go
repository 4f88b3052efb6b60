// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllertest

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	"cloud.google.com/go/iam/apiv1/iampb"

	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// EditRecorder records what EditPolicy is about to send. It is grant.Recorder.
type EditRecorder = interface {
	Intend(ctx context.Context, intended iampolicy.Change, etag string) error
	Withdraw(ctx context.Context) error
}

// EditPolicy edits the repository's IAM policy by the function that the adapter uses, and
// asks for each intent as the adapter does.
func (c *Cloud) EditPolicy(ctx context.Context, repository imageref.Repository, edit iampolicy.Edit, reason string, record EditRecorder) (iampolicy.Write, error) {
	c.Reasons = append(c.Reasons, reason)
	if err := c.call(MethodEditPolicy, repository.String()); err != nil {
		return iampolicy.Write{}, fmt.Errorf("edit policy of repository %s: %w", repository, err)
	}
	uncertain := false
	for attempt := 1; ; attempt++ {
		written, retry, err := c.attempt(ctx, repository, attempt, edit, record)
		uncertain = uncertain || errors.Is(err, iampolicy.ErrUncertain)
		switch {
		case err == nil:
			return written, nil
		case retry && (uncertain || !errors.Is(err, iampolicy.ErrConflict)):
		case retry:
			if err := record.Withdraw(ctx); err != nil {
				return iampolicy.Write{}, fmt.Errorf("withdraw the intent: %w", err)
			}
		case uncertain:
			return iampolicy.Write{}, fmt.Errorf("edit policy of repository %s: %w (%w)", repository, err, iampolicy.ErrUncertain)
		default:
			return iampolicy.Write{}, fmt.Errorf("edit policy of repository %s: %w", repository, err)
		}
	}
}

// attempt reads and edits the IAM policy, records the intent and writes.
func (c *Cloud) attempt(ctx context.Context, repository imageref.Repository, attempt int, edit iampolicy.Edit, record EditRecorder) (written iampolicy.Write, retry bool, _ error) {
	before := c.IAMPolicies[repository.Name]
	after, change, err := iampolicy.Apply(before, edit)
	if err != nil {
		return iampolicy.Write{}, false, err
	}
	written = iampolicy.Write{Change: change, EtagBefore: etagOf(before), EtagAfter: etagOf(before), Attempts: attempt}
	if c.OnRead != nil {
		c.OnRead(attempt)
	}
	if change.Empty() {
		return written, false, nil
	}
	if err := record.Intend(ctx, change, written.EtagBefore); err != nil {
		return iampolicy.Write{}, false, fmt.Errorf("record the intent: %w", err)
	}
	c.Sent = append(c.Sent, change)
	for _, member := range change.Added {
		if err := c.Refused[member]; err != nil {
			return iampolicy.Write{}, false, err
		}
	}
	var answer Answer
	if len(c.Answers) > 0 {
		answer, c.Answers = c.Answers[0], c.Answers[1:]
	}
	if answer.Err == nil || answer.Applied {
		after.Etag = fmt.Appendf(nil, "etag-%d", len(c.Sent))
		c.IAMPolicies[repository.Name] = after
		written.EtagAfter = etagOf(after)
	}
	return written, answer.Retry, answer.Err
}

// Etag returns the etag of the repository's IAM policy, as Google writes it.
func (c *Cloud) Etag(repository string) string { return etagOf(c.IAMPolicies[repository]) }

func etagOf(policy *iampb.Policy) string {
	return base64.StdEncoding.EncodeToString(policy.GetEtag())
}
