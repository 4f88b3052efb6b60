// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package iampolicy

import (
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"
	"google.golang.org/genproto/googleapis/type/expr"
	"google.golang.org/protobuf/proto"
)

// TestHash checks which differences between two IAM policies the hash shows.
func TestHash(t *testing.T) {
	base := &iampb.Policy{
		Version: 3, Etag: []byte("1"),
		AuditConfigs: []*iampb.AuditConfig{{Service: "allServices"}},
		Bindings: []*iampb.Binding{
			{Role: Role, Members: []string{"user:a@example.com", "user:b@example.com"}},
			{Role: Role, Members: []string{"user:a@example.com"}, Condition: &expr.Expr{Expression: "true"}},
			{Role: "roles/viewer", Members: []string{"user:a@example.com"}},
		},
	}
	for name, tc := range map[string]struct {
		change func(*iampb.Policy)
		same   bool
	}{
		"nothing":           {func(*iampb.Policy) {}, true},
		"etag":              {func(p *iampb.Policy) { p.Etag = []byte("2") }, true},
		"version":           {func(p *iampb.Policy) { p.Version = 1 }, true},
		"order of members":  {func(p *iampb.Policy) { m := p.Bindings[0].Members; m[0], m[1] = m[1], m[0] }, true},
		"order of bindings": {func(p *iampb.Policy) { b := p.Bindings; b[0], b[2] = b[2], b[0] }, true},
		"a member more":     {func(p *iampb.Policy) { p.Bindings[2].Members = append(p.Bindings[2].Members, "user:b@example.com") }, false},
		"a member less":     {func(p *iampb.Policy) { p.Bindings[0].Members = p.Bindings[0].Members[:1] }, false},
		"a binding less":    {func(p *iampb.Policy) { p.Bindings = p.Bindings[:2] }, false},
		"another role":      {func(p *iampb.Policy) { p.Bindings[2].Role = "roles/editor" }, false},
		"another condition": {func(p *iampb.Policy) { p.Bindings[1].Condition.Expression = "false" }, false},
		"no condition":      {func(p *iampb.Policy) { p.Bindings[1].Condition = nil }, false},
		"audit settings":    {func(p *iampb.Policy) { p.AuditConfigs = nil }, false},
	} {
		other := proto.CloneOf(base)
		tc.change(other)
		before := proto.CloneOf(other)
		if got := Hash(base) == Hash(other); got != tc.same {
			t.Errorf("%s: the hashes are equal: %v, want %v", name, got, tc.same)
		}
		if !proto.Equal(before, other) {
			t.Errorf("%s: Hash changed the policy", name)
		}
	}
	if Hash(nil) != Hash(&iampb.Policy{}) || len(Hash(nil)) != 64 {
		t.Errorf("the hash of no policy is %q", Hash(nil))
	}
}
