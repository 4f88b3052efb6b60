// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"bytes"
	"encoding/binary"
	"net/http"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	"google.golang.org/protobuf/proto"
)

// policyVersion is a policy as it was written, and from when on the registry
// judges by it. The API shows a new policy at once.
type policyVersion struct {
	policy    *iampb.Policy
	effective time.Time
}

// emptyEtag is the etag of a policy that was never written; it reads "ACAB" in JSON.
var emptyEtag = []byte{0x00, 0x20, 0x01}

var errConcurrent = &refusal{
	http: http.StatusConflict, code: "ABORTED",
	message: "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff.",
}

// Policy returns a copy of the policy of a repository, by its resource name.
func (e *Emulator) Policy(repo string) *iampb.Policy {
	return e.state.policy(repo)
}

// SetPolicy replaces a policy as another writer would: whatever etag p carries,
// and without the API's checks. It bumps the etag. It takes the resource name of
// a repository, a project, a folder or an organization.
func (e *Emulator) SetPolicy(resource string, p *iampb.Policy) {
	e.state.mu.Lock()
	defer e.state.mu.Unlock()
	e.state.write(resource, p)
}

// SetProjectPolicy replaces the policy of a project, which its repositories inherit.
func (e *Emulator) SetProjectPolicy(project string, p *iampb.Policy) {
	e.SetPolicy("projects/"+project, p)
}

// SetPropagationDelay is how long after a later write of a policy the registry
// still judges by the one before.
func (e *Emulator) SetPropagationDelay(d time.Duration) {
	e.state.mu.Lock()
	defer e.state.mu.Unlock()
	e.state.delay = d
}

func (s *state) policy(resource string) *iampb.Policy {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newest(resource)
}

// newest needs s.mu, as do write and judged.
func (s *state) newest(resource string) *iampb.Policy {
	versions := s.policies[resource]
	if len(versions) == 0 {
		return &iampb.Policy{Etag: bytes.Clone(emptyEtag)}
	}
	return proto.CloneOf(versions[len(versions)-1].policy)
}

func (s *state) write(resource string, p *iampb.Policy) *iampb.Policy {
	stored := normalized(p)
	s.writes++
	// Eight bytes beginning with 7, as Google's are; clients take them as they come.
	stored.Etag = binary.BigEndian.AppendUint64(nil, 0x07<<56|s.writes)
	s.policies[resource] = append(s.policies[resource],
		policyVersion{policy: stored, effective: s.clock.Now().Add(s.delay)})
	return proto.CloneOf(stored)
}

// judged is the policy that the registry knows by now.
func (s *state) judged(resource string) *iampb.Policy {
	now := s.clock.Now()
	for _, version := range slices.Backward(s.policies[resource]) {
		if !version.effective.After(now) {
			return version.policy
		}
	}
	return &iampb.Policy{}
}

// replace is SetIamPolicy: the etag must be the one that is stored, or missing.
func (s *state) replace(resource string, in *iampb.SetIamPolicyRequest) (*iampb.Policy, error) {
	policy := in.GetPolicy()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkPolicy(resource, policy); err != nil {
		return nil, err
	}
	current := s.newest(resource)
	if len(policy.GetEtag()) > 0 && !bytes.Equal(policy.GetEtag(), current.GetEtag()) {
		return nil, errConcurrent
	}
	if err := s.checkAccounts(policy); err != nil {
		return nil, err
	}
	// The default mask is "bindings, etag": who does not ask for audit settings leaves them alone.
	if !slices.ContainsFunc(in.GetUpdateMask().GetPaths(), func(path string) bool {
		return path == "audit_configs" || path == "*"
	}) {
		policy = proto.CloneOf(policy)
		policy.AuditConfigs = current.GetAuditConfigs()
	}
	return s.write(resource, policy), nil
}

// normalized is a policy as Google stores it: one binding a role and condition,
// no member twice, no binding without members, and a version also when it is empty.
func normalized(p *iampb.Policy) *iampb.Policy {
	out := &iampb.Policy{}
	if p != nil {
		out = proto.CloneOf(p)
	}
	bindings := out.GetBindings()
	out.Bindings = nil
	for _, binding := range bindings {
		at := slices.IndexFunc(out.Bindings, func(b *iampb.Binding) bool {
			return b.GetRole() == binding.GetRole() && proto.Equal(b.GetCondition(), binding.GetCondition())
		})
		if at < 0 {
			out.Bindings = append(out.Bindings, binding)
			continue
		}
		out.Bindings[at].Members = append(out.Bindings[at].Members, binding.GetMembers()...)
	}
	for _, binding := range out.Bindings {
		binding.Members = distinct(binding.GetMembers())
	}
	out.Bindings = slices.DeleteFunc(out.Bindings, func(b *iampb.Binding) bool { return len(b.GetMembers()) == 0 })
	out.Version = 1
	if slices.ContainsFunc(out.Bindings, func(b *iampb.Binding) bool { return b.GetCondition() != nil }) {
		out.Version = 3
	}
	return out
}

func distinct(members []string) []string {
	seen := map[string]bool{}
	return slices.DeleteFunc(members, func(member string) bool {
		again := seen[strings.ToLower(member)]
		seen[strings.ToLower(member)] = true
		return again
	})
}
