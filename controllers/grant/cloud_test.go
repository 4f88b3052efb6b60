// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"cloud.google.com/go/iam/apiv1/iampb"
	"google.golang.org/protobuf/proto"

	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// cloud is one repository and its policy, in memory. It edits by the same
// function as the adapter, so that intents are asked for as in the real one.
type cloud struct {
	fact   diagnosis.Repository
	policy *iampb.Policy

	// NextErr end the next edits, one each, before the policy is read.
	NextErr []error
	// Answers are what the next writes come to, one each; without one they succeed.
	Answers []answer
	// Refuse is what Google says to a write that adds the member.
	Refuse map[string]error
	// OnRead is called after the policy was read, before the intent is put on record.
	OnRead func(round int)

	// LookErr ends every look for absent members; Looks counts them.
	LookErr error
	Looks   int

	// Edits are the edits asked for, Sent the changes that left the operator.
	Edits   []iampolicy.Edit
	Reasons []string
	Sent    []iampolicy.Change
}

// answer is what a write comes to.
type answer struct {
	err error
	// landed: the write has taken effect all the same.
	landed bool
	// again: the adapter reads the policy anew and repeats.
	again bool
}

// dockerRepository is a repository that may be opened.
var dockerRepository = diagnosis.Repository{State: diagnosis.Present, Format: "DOCKER", Mode: "STANDARD_REPOSITORY"}

func newCloud(readers ...string) *cloud {
	c := &cloud{fact: dockerRepository, policy: &iampb.Policy{Version: 3, Etag: []byte("etag-0")}}
	if len(readers) > 0 {
		c.policy.Bindings = []*iampb.Binding{{Role: iampolicy.Role, Members: readers}}
	}
	return c
}

// Repository implements Cloud.
func (c *cloud) Repository(context.Context, imageref.Repository) diagnosis.Repository { return c.fact }

// Absent implements Cloud.
func (c *cloud) Absent(_ context.Context, _ imageref.Repository, members []string) ([]string, error) {
	c.Looks++
	if c.LookErr != nil {
		return nil, c.LookErr
	}
	return slices.DeleteFunc(slices.Clone(members), func(m string) bool { return iampolicy.Holds(c.policy, m) }), nil
}

// EditPolicy implements Cloud.
func (c *cloud) EditPolicy(ctx context.Context, repository imageref.Repository, edit iampolicy.Edit, reason string, record Recorder) (iampolicy.Write, error) {
	c.Edits, c.Reasons = append(c.Edits, edit), append(c.Reasons, reason)
	if len(c.NextErr) > 0 {
		err := c.NextErr[0]
		c.NextErr = c.NextErr[1:]
		if err != nil {
			return iampolicy.Write{}, fmt.Errorf("edit policy of repository %s: %w", repository, err)
		}
	}
	open := false
	for round := 1; ; round++ {
		written, again, err := c.round(ctx, round, edit, record)
		open = open || errors.Is(err, iampolicy.ErrUncertain)
		switch {
		case err == nil:
			return written, nil
		case again && (open || !errors.Is(err, iampolicy.ErrConflict)):
		case again:
			if err := record.Withdraw(ctx); err != nil {
				return iampolicy.Write{}, fmt.Errorf("withdraw the intent: %w", err)
			}
		case open:
			return iampolicy.Write{}, fmt.Errorf("edit policy of repository %s: %w (%w)", repository, err, iampolicy.ErrUncertain)
		default:
			return iampolicy.Write{}, fmt.Errorf("edit policy of repository %s: %w", repository, err)
		}
	}
}

// round reads, edits, has the intent recorded and writes.
func (c *cloud) round(ctx context.Context, round int, edit iampolicy.Edit, record Recorder) (written iampolicy.Write, again bool, _ error) {
	after, change, err := iampolicy.Apply(c.policy, edit)
	if err != nil {
		return iampolicy.Write{}, false, err
	}
	written = iampolicy.Write{Change: change, EtagBefore: c.etag(), EtagAfter: c.etag(), Attempts: round}
	if c.OnRead != nil {
		c.OnRead(round)
	}
	if change.Empty() {
		return written, false, nil
	}
	if err := record.Intend(ctx, change, c.etag()); err != nil {
		return iampolicy.Write{}, false, fmt.Errorf("record the intent: %w", err)
	}
	c.Sent = append(c.Sent, change)
	for _, member := range change.Added {
		if err := c.Refuse[member]; err != nil {
			return iampolicy.Write{}, false, err
		}
	}
	var said answer
	if len(c.Answers) > 0 {
		said, c.Answers = c.Answers[0], c.Answers[1:]
	}
	if said.err == nil || said.landed {
		c.policy = after
		c.policy.Etag = fmt.Appendf(nil, "etag-%d", len(c.Sent))
	}
	written.EtagAfter = c.etag()
	return written, said.again, said.err
}

func (c *cloud) etag() string { return base64.StdEncoding.EncodeToString(c.policy.GetEtag()) }

// readers are the members that can read, in order.
func (c *cloud) readers() []string {
	var all []string
	for _, b := range c.policy.GetBindings() {
		if b.GetRole() == iampolicy.Role && b.GetCondition() == nil {
			all = append(all, b.GetMembers()...)
		}
	}
	return slices.Clone(all)
}

// others is the policy without what the operator may touch.
func (c *cloud) others() *iampb.Policy {
	rest := proto.CloneOf(c.policy)
	rest.Etag = nil
	rest.Bindings = slices.DeleteFunc(rest.Bindings, func(b *iampb.Binding) bool {
		return b.GetRole() == iampolicy.Role && b.GetCondition() == nil
	})
	return rest
}
