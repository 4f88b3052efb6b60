// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllertest

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"cloud.google.com/go/iam/apiv1/iampb"
	"google.golang.org/protobuf/proto"

	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// The methods of Cloud.
const (
	MethodRepository    = "Repository"
	MethodNodeAccount   = "NodeAccount"
	MethodAccess        = "Access"
	MethodProjectAccess = "ProjectAccess"
	MethodOverall       = "Overall"
	MethodContent       = "Content"
	MethodAbsent        = "Absent"
	MethodPrepare       = "Prepare"
	MethodCommit        = "Commit"
)

// Cloud is Google Cloud in memory. It implements the cloud ports of all controllers. Its
// reads are safe for concurrent use.
type Cloud struct {
	// Repositories and IAMPolicies are by the name of the repository. A repository without
	// an entry is unknown; without an IAM policy nobody has access.
	Repositories map[string]diagnosis.Repository
	IAMPolicies  map[string]*iampb.Policy
	// Accounts are the accounts of nodes, by provider ID. Others are unavailable.
	Accounts map[string]diagnosis.Puller
	// Images are by reference. Others are unknown.
	Images map[string]diagnosis.Content
	// OverallAccess is what Policy Troubleshooter answers about everybody.
	OverallAccess diagnosis.Overall

	// NextErr are the errors of the next calls of each method, one a call; nil lets a call
	// pass. A read turns its error into an obstacle: the error's own, or Unavailable.
	NextErr map[string][]error
	// Obstacles are what all reads by a method meet, by method.
	Obstacles map[string]diagnosis.Obstacle
	// Answers are the outcomes of the next writes, one each. Other writes succeed.
	Answers []Answer
	// Refused are the answers to writes that add a member.
	Refused map[string]error
	// OnRead is called after Prepare read the IAM policy, with the number of its calls so far.
	OnRead func(call int)

	// Calls are all calls. A target names the repository, the member, the image, or the
	// node with its provider ID and its pool.
	Calls Calls
	// Reasons are those of the writes, Sent the changes that were sent to Google.
	Reasons []string
	Sent    []iampolicy.Change

	mu sync.Mutex
}

// Answer is the outcome of a write.
type Answer struct {
	Err error
	// Applied: the write has taken effect despite the error.
	Applied bool
}

// NewCloud returns an empty cloud.
func NewCloud() *Cloud {
	return &Cloud{
		Repositories: map[string]diagnosis.Repository{}, IAMPolicies: map[string]*iampb.Policy{},
		Accounts: map[string]diagnosis.Puller{}, Images: map[string]diagnosis.Content{},
		NextErr: map[string][]error{}, Obstacles: map[string]diagnosis.Obstacle{},
	}
}

// call records a call and returns its error.
func (c *Cloud) call(method, target string) error {
	c.Calls.record(method, target)
	c.mu.Lock()
	defer c.mu.Unlock()
	next := c.NextErr[method]
	if len(next) == 0 {
		return nil
	}
	c.NextErr[method] = next[1:]
	return next[0]
}

// read is call for the methods that return a fact.
func (c *Cloud) read(method, target string) (obstacle diagnosis.Obstacle, met bool) {
	if err := c.call(method, target); err != nil {
		var known interface{ Obstacle() diagnosis.Obstacle }
		if errors.As(err, &known) {
			return known.Obstacle(), true
		}
		return diagnosis.Obstacle{Kind: diagnosis.Unavailable, Detail: err.Error()}, true
	}
	obstacle, met = c.Obstacles[method]
	return obstacle, met
}

// Repository reads a repository.
func (c *Cloud) Repository(_ context.Context, repository imageref.Repository) diagnosis.Repository {
	if obstacle, met := c.read(MethodRepository, repository.String()); met {
		return diagnosis.Repository{Obstacle: obstacle}
	}
	return c.Repositories[repository.Name]
}

// NodeAccount reads the account of a node.
func (c *Cloud) NodeAccount(_ context.Context, node diagnosis.Node) diagnosis.Puller {
	if obstacle, met := c.read(MethodNodeAccount, strings.TrimSpace(node.Name+" "+node.ProviderID+" "+node.Pool)); met {
		return diagnosis.Puller{Obstacle: obstacle}
	}
	if puller, ok := c.Accounts[node.ProviderID]; ok {
		return puller
	}
	return diagnosis.Puller{Obstacle: diagnosis.Obstacle{Kind: diagnosis.Unavailable}}
}

// Access reads whether the repository's IAM policy gives the member access.
func (c *Cloud) Access(_ context.Context, repository imageref.Repository, member string) diagnosis.Access {
	if obstacle, met := c.read(MethodAccess, member); met {
		return diagnosis.Access{Obstacle: obstacle}
	}
	if policy := c.IAMPolicies[repository.Name]; policy != nil && iampolicy.Holds(policy, member) {
		return diagnosis.Access{State: diagnosis.Present, Role: iampolicy.Role}
	}
	return diagnosis.Access{State: diagnosis.Missing}
}

// ProjectAccess finds no access by the IAM policy of a project.
func (c *Cloud) ProjectAccess(_ context.Context, repository imageref.Repository, member string) diagnosis.Access {
	if obstacle, met := c.read(MethodProjectAccess, repository.Project+" "+member); met {
		return diagnosis.Access{Obstacle: obstacle}
	}
	return diagnosis.Access{State: diagnosis.Missing}
}

// Overall returns OverallAccess.
func (c *Cloud) Overall(_ context.Context, _ imageref.Repository, member string) diagnosis.Overall {
	if obstacle, met := c.read(MethodOverall, member); met {
		return diagnosis.Overall{Obstacle: obstacle}
	}
	return c.OverallAccess
}

// Content reads an image.
func (c *Cloud) Content(_ context.Context, image imageref.Image) diagnosis.Content {
	if obstacle, met := c.read(MethodContent, image.String()); met {
		return diagnosis.Content{Obstacle: obstacle}
	}
	return c.Images[image.String()]
}

// Absent returns the members that are not in the repository's IAM policy.
func (c *Cloud) Absent(_ context.Context, repository imageref.Repository, members []string) ([]string, error) {
	if err := c.call(MethodAbsent, repository.String()); err != nil {
		return nil, err
	}
	policy := c.IAMPolicies[repository.Name]
	return slices.DeleteFunc(slices.Clone(members), func(m string) bool { return policy != nil && iampolicy.Holds(policy, m) }), nil
}

// SetReaders replaces the repository's IAM policy by one with these readers.
func (c *Cloud) SetReaders(repository string, members ...string) {
	policy := &iampb.Policy{Version: 3, Etag: []byte("etag-0")}
	if len(members) > 0 {
		policy.Bindings = []*iampb.Binding{{Role: iampolicy.Role, Members: members}}
	}
	c.IAMPolicies[repository] = policy
}

// Readers returns the members that can read, in order.
func (c *Cloud) Readers(repository string) []string {
	var all []string
	for _, b := range c.IAMPolicies[repository].GetBindings() {
		if isReaders(b) {
			all = append(all, b.GetMembers()...)
		}
	}
	return all
}

// OtherBindings returns the repository's IAM policy without Readers and etag: what the
// operator may not touch.
func (c *Cloud) OtherBindings(repository string) *iampb.Policy {
	rest := proto.CloneOf(cmp.Or(c.IAMPolicies[repository], &iampb.Policy{}))
	rest.Etag = nil
	rest.Bindings = slices.DeleteFunc(rest.Bindings, isReaders)
	return rest
}

func isReaders(b *iampb.Binding) bool {
	return b.GetRole() == iampolicy.Role && b.GetCondition() == nil
}
