// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package iampolicy

import (
	"errors"
	"slices"
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"
	"google.golang.org/genproto/googleapis/type/expr"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// full holds one of everything that an edit must leave alone.
func full() *iampb.Policy {
	return &iampb.Policy{
		Version: 3, Etag: []byte("e1"), AuditConfigs: audit(),
		Bindings: []*iampb.Binding{
			writers(human, batch),
			readers(human, "deleted:"+batch+"?uid=7", "group:dev@example.com"),
			conditional(nodes, batch),
		},
	}
}

func TestVerifyRefusesEveryPlantedDifference(t *testing.T) {
	before := full()
	honest, change, err := Apply(before, Edit{Add: []string{nodes}})
	if err != nil {
		t.Fatalf("Apply: %v", err)
	}
	if err := Verify(before, honest, change); err != nil {
		t.Fatalf("the honest edit must pass: %v", err)
	}
	for name, plant := range map[string]func(*iampb.Policy){
		"etag missing":             func(p *iampb.Policy) { p.Etag = nil },
		"etag of another policy":   func(p *iampb.Policy) { p.Etag = []byte("e2") },
		"version":                  func(p *iampb.Policy) { p.Version = 1 },
		"unknown field":            func(p *iampb.Policy) { p.ProtoReflect().SetUnknown(unknownField()) },
		"audit configs dropped":    func(p *iampb.Policy) { p.AuditConfigs = nil },
		"audit exemption":          func(p *iampb.Policy) { p.AuditConfigs[0].AuditLogConfigs[0].ExemptedMembers = nil },
		"bindings reordered":       func(p *iampb.Policy) { swap(p.Bindings) },
		"readers moved to the end": func(p *iampb.Policy) { swap(p.Bindings[1:]) },
		"writers reordered":        func(p *iampb.Policy) { swap(p.Bindings[0].Members) },
		"readers reordered":        func(p *iampb.Policy) { swap(p.Bindings[1].Members) },
		"writer added":             func(p *iampb.Policy) { grow(p.Bindings[0], nodes) },
		"writer dropped":           func(p *iampb.Policy) { p.Bindings[0].Members = p.Bindings[0].Members[:1] },
		"binding dropped":          func(p *iampb.Policy) { p.Bindings = p.Bindings[1:] },
		"binding added":            func(p *iampb.Policy) { p.Bindings = append(p.Bindings, writers(nodes)) },
		"owner added": func(p *iampb.Policy) {
			p.Bindings = append(p.Bindings, &iampb.Binding{Role: "roles/owner", Members: []string{nodes}})
		},
		"empty binding added":    func(p *iampb.Policy) { p.Bindings = append(p.Bindings, readers()) },
		"role changed":           func(p *iampb.Policy) { p.Bindings[1].Role = "roles/artifactregistry.admin" },
		"role in another case":   func(p *iampb.Policy) { p.Bindings[1].Role = "roles/artifactregistry.Reader" },
		"condition dropped":      func(p *iampb.Policy) { p.Bindings[2].Condition = nil },
		"condition changed":      func(p *iampb.Policy) { p.Bindings[2].Condition.Expression = "true" },
		"condition added":        func(p *iampb.Policy) { p.Bindings[1].Condition = &expr.Expr{Title: "x", Expression: "true"} },
		"empty condition added":  func(p *iampb.Policy) { p.Bindings[0].Condition = &expr.Expr{} },
		"conditional member":     func(p *iampb.Policy) { grow(p.Bindings[2], "serviceAccount:x@acme.iam.gserviceaccount.com") },
		"everybody beside":       func(p *iampb.Policy) { grow(p.Bindings[1], "allUsers") },
		"another account beside": func(p *iampb.Policy) { grow(p.Bindings[1], batch) },
		"member not there":       func(p *iampb.Policy) { p.Bindings[1].Members = p.Bindings[1].Members[:3] },
		"member there twice":     func(p *iampb.Policy) { grow(p.Bindings[1], nodes) },
		"member in two cases":    func(p *iampb.Policy) { grow(p.Bindings[1], "serviceAccount:NODES@acme.iam.gserviceaccount.com") },
		"member in its own binding": func(p *iampb.Policy) {
			p.Bindings[1].Members = p.Bindings[1].Members[:3]
			p.Bindings = append(p.Bindings, readers(nodes))
		},
		"reader in another case": func(p *iampb.Policy) { p.Bindings[1].Members[0] = "user:Ada@example.com" },
		"deleted reader dropped": func(p *iampb.Policy) { p.Bindings[1].Members = slices.Delete(p.Bindings[1].Members, 1, 2) },
		"deleted reader revived": func(p *iampb.Policy) { p.Bindings[1].Members[1] = batch },
		"everything dropped":     func(p *iampb.Policy) { p.Bindings = nil },
	} {
		t.Run(name, func(t *testing.T) {
			after := proto.CloneOf(honest)
			plant(after)
			if err := Verify(before, after, change); !errors.Is(err, ErrGuard) {
				t.Errorf("got %v, want %v", err, ErrGuard)
			}
		})
	}
}

func TestVerifyRefusesADishonestChange(t *testing.T) {
	public := "allUsers"
	for name, tc := range map[string]struct {
		before, after *iampb.Policy
		change        Change
		want          error
	}{
		"nothing read":           {after: policyOf(), want: ErrNoPolicy},
		"nothing to send":        {before: policyOf(), want: ErrNoPolicy},
		"read without etag":      {before: &iampb.Policy{}, after: &iampb.Policy{}, want: ErrGuard},
		"everybody in":           {before: policyOf(), after: policyOf(readers(public)), change: Change{Added: []string{public}}, want: ErrGuard},
		"a person out":           {before: policyOf(readers(human)), after: policyOf(), change: Change{Removed: []string{human}}, want: ErrGuard},
		"change not told":        {before: policyOf(), after: policyOf(readers(nodes)), want: ErrGuard},
		"change told, not made":  {before: policyOf(), after: policyOf(), change: Change{Added: []string{nodes}}, want: ErrGuard},
		"removal not made":       {before: policyOf(readers(nodes)), after: policyOf(readers(nodes)), change: Change{Removed: []string{nodes}}, want: ErrGuard},
		"removal of nobody":      {before: policyOf(), after: policyOf(), change: Change{Removed: []string{nodes}}, want: ErrGuard},
		"removal takes another":  {before: policyOf(readers(nodes, human)), after: policyOf(), change: Change{Removed: []string{nodes}}, want: ErrGuard},
		"removal leaves a shell": {before: policyOf(readers(nodes)), after: policyOf(readers()), change: Change{Removed: []string{nodes}}, want: ErrGuard},
		"said to be added twice": {before: policyOf(), after: policyOf(readers(nodes, nodes)), change: Change{Added: []string{nodes, nodes}}, want: ErrGuard},
		"said twice, done once":  {before: policyOf(), after: policyOf(readers(nodes)), change: Change{Added: []string{nodes, nodes}}, want: ErrGuard},
		"in and out at once":     {before: policyOf(readers(nodes)), after: policyOf(readers(nodes)), change: Change{Added: []string{nodes}, Removed: []string{nodes}}, want: ErrGuard},
		"two bindings for two":   {before: policyOf(), after: policyOf(readers(nodes), readers(batch)), change: Change{Added: []string{nodes, batch}}, want: ErrGuard},
		"was there already":      {before: policyOf(readers(nodes)), after: policyOf(readers(nodes)), change: Change{Added: []string{nodes}}, want: ErrGuard},
	} {
		t.Run(name, func(t *testing.T) {
			if err := Verify(tc.before, tc.after, tc.change); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

func unknownField() []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, 99, protowire.VarintType), 1)
}

func swap[T any](s []T) { s[0], s[1] = s[1], s[0] }

func grow(b *iampb.Binding, member string) { b.Members = append(b.Members, member) }
