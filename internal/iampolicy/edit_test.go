// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package iampolicy

import (
	"errors"
	"fmt"
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/type/expr"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
)

const (
	nodes = "serviceAccount:nodes@acme.iam.gserviceaccount.com"
	batch = "serviceAccount:batch@acme.iam.gserviceaccount.com"
	human = "user:ada@example.com"
)

func policyOf(bindings ...*iampb.Binding) *iampb.Policy {
	return &iampb.Policy{Etag: []byte("e1"), Bindings: bindings}
}

func readers(members ...string) *iampb.Binding {
	return &iampb.Binding{Role: Role, Members: members}
}

func conditional(members ...string) *iampb.Binding {
	return &iampb.Binding{Role: Role, Members: members, Condition: &expr.Expr{Title: "until", Expression: "false"}}
}

func writers(members ...string) *iampb.Binding {
	return &iampb.Binding{Role: "roles/artifactregistry.writer", Members: members}
}

func audit() []*iampb.AuditConfig {
	return []*iampb.AuditConfig{{Service: "allServices", AuditLogConfigs: []*iampb.AuditLogConfig{
		{LogType: iampb.AuditLogConfig_DATA_READ, ExemptedMembers: []string{human}},
	}}}
}

func TestApply(t *testing.T) {
	for name, tc := range map[string]struct {
		before     *iampb.Policy
		edit       Edit
		want       *iampb.Policy
		wantChange Change
		why        string
	}{
		"nothing asked": {
			before: policyOf(readers(human)), want: policyOf(readers(human)),
			why: "the zero edit changes nothing",
		},
		"first reader": {
			before: policyOf(), edit: Edit{Add: []string{nodes}},
			want: policyOf(readers(nodes)), wantChange: Change{Added: []string{nodes}},
			why: "an empty policy gets the one binding",
		},
		"another reader": {
			before: policyOf(writers(batch), readers(human)), edit: Edit{Add: []string{nodes}},
			want: policyOf(writers(batch), readers(human, nodes)), wantChange: Change{Added: []string{nodes}},
			why: "a member is put last, into the binding that is there",
		},
		"already there": {
			before: policyOf(readers(nodes)), edit: Edit{Add: []string{nodes}},
			want: policyOf(readers(nodes)), wantChange: Change{Found: []string{nodes}},
			why: "twice equals once",
		},
		"there in another case": {
			before: policyOf(readers("serviceAccount:Nodes@Acme.iam.gserviceaccount.com")), edit: Edit{Add: []string{nodes}},
			want:       policyOf(readers("serviceAccount:Nodes@Acme.iam.gserviceaccount.com")),
			wantChange: Change{Found: []string{nodes}},
			why:        "e-mail addresses are the same in any case",
		},
		"there in a second reader binding": {
			before: policyOf(readers(human), readers(nodes)), edit: Edit{Add: []string{nodes}},
			want: policyOf(readers(human), readers(nodes)), wantChange: Change{Found: []string{nodes}},
			why: "every unconditional reader binding counts",
		},
		"only under a condition": {
			before: policyOf(conditional(nodes)), edit: Edit{Add: []string{nodes}},
			want: policyOf(conditional(nodes), readers(nodes)), wantChange: Change{Added: []string{nodes}},
			why: "a binding is known by role and condition",
		},
		"only under another role": {
			before: policyOf(writers(nodes)), edit: Edit{Add: []string{nodes}},
			want: policyOf(writers(nodes), readers(nodes)), wantChange: Change{Added: []string{nodes}},
			why: "the edit knows one role; whether access is there is not its question",
		},
		"deleted twin": {
			before: policyOf(readers("deleted:" + nodes + "?uid=1")), edit: Edit{Add: []string{nodes}},
			want:       policyOf(readers("deleted:"+nodes+"?uid=1", nodes)),
			wantChange: Change{Added: []string{nodes}},
			why:        "an account made anew under its old name needs its own membership",
		},
		"named twice": {
			before: policyOf(), edit: Edit{Add: []string{nodes, nodes}},
			want: policyOf(readers(nodes)), wantChange: Change{Added: []string{nodes}},
			why: "a member cannot be both added and found",
		},
		"remove one of two": {
			before: policyOf(readers(human, nodes), writers(nodes), conditional(nodes)), edit: Edit{Remove: []string{nodes}},
			want:       policyOf(readers(human), writers(nodes), conditional(nodes)),
			wantChange: Change{Removed: []string{nodes}},
			why:        "only the unconditional reader binding is touched",
		},
		"remove the last": {
			before: policyOf(readers(nodes), writers(batch)), edit: Edit{Remove: []string{nodes}},
			want: policyOf(writers(batch)), wantChange: Change{Removed: []string{nodes}},
			why: "no binding is left without members",
		},
		"remove what is absent": {
			before: policyOf(readers(human)), edit: Edit{Remove: []string{nodes, nodes}},
			want: policyOf(readers(human)), wantChange: Change{Absent: []string{nodes}},
			why: "removing twice equals once",
		},
		"swap": {
			before: policyOf(readers(nodes, human)), edit: Edit{Add: []string{batch}, Remove: []string{nodes}},
			want:       policyOf(readers(human, batch)),
			wantChange: Change{Added: []string{batch}, Removed: []string{nodes}},
			why:        "all waiting members of a repository go into one edit",
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := proto.CloneOf(tc.before)
			got, change, err := Apply(before, tc.edit)
			if err != nil {
				t.Fatalf("Apply: %v (%s)", err, tc.why)
			}
			if diff := cmp.Diff(tc.want, got, protocmp.Transform()); diff != "" {
				t.Errorf("policy: %s (-want +got)\n%s", tc.why, diff)
			}
			if diff := cmp.Diff(tc.wantChange, change); diff != "" {
				t.Errorf("change: %s (-want +got)\n%s", tc.why, diff)
			}
			if diff := cmp.Diff(tc.before, before, protocmp.Transform()); diff != "" {
				t.Errorf("the policy that was read must stay as it was\n%s", diff)
			}
			if err := Verify(before, got, change); err != nil {
				t.Errorf("the guard refuses an honest edit: %v", err)
			}
		})
	}
}

func TestApplyRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		before *iampb.Policy
		edit   Edit
		want   error
	}{
		"no policy":                 {before: nil, edit: Edit{Add: []string{nodes}}, want: ErrNoPolicy},
		"everybody":                 {before: policyOf(), edit: Edit{Add: []string{"allUsers"}}, want: ErrMember},
		"every Google account":      {before: policyOf(), edit: Edit{Add: []string{"allAuthenticatedUsers"}}, want: ErrMember},
		"a person":                  {before: policyOf(), edit: Edit{Add: []string{human}}, want: ErrMember},
		"a group":                   {before: policyOf(), edit: Edit{Add: []string{"group:all@example.com"}}, want: ErrMember},
		"a domain":                  {before: policyOf(), edit: Edit{Add: []string{"domain:example.com"}}, want: ErrMember},
		"the empty member":          {before: policyOf(), edit: Edit{Add: []string{""}}, want: ErrMember},
		"an account outside Google": {before: policyOf(), edit: Edit{Add: []string{"serviceAccount:x@example.com"}}, want: ErrMember},
		"a look-alike domain":       {before: policyOf(), edit: Edit{Add: []string{nodes + ".evil.example"}}, want: ErrMember},
		"a second line":             {before: policyOf(), edit: Edit{Add: []string{nodes + "\n"}}, want: ErrMember},
		"a workload identity":       {before: policyOf(), edit: Edit{Add: []string{"serviceAccount:acme.svc.id.goog[ns/sa]"}}, want: ErrMember},
		"a deleted account":         {before: policyOf(), edit: Edit{Add: []string{"deleted:" + nodes + "?uid=1"}}, want: ErrMember},
		"a person to be removed":    {before: policyOf(readers(human)), edit: Edit{Remove: []string{human}}, want: ErrMember},
		"a deleted account's removal": {
			before: policyOf(), edit: Edit{Remove: []string{"deleted:" + nodes + "?uid=1"}}, want: ErrMember,
		},
		"in and out at once": {before: policyOf(), edit: Edit{Add: []string{nodes}, Remove: []string{nodes}}, want: ErrMember},
		"a full policy":      {before: crowd(MaxPrincipals), edit: Edit{Add: []string{nodes}}, want: ErrTooManyPrincipals},
	} {
		t.Run(name, func(t *testing.T) {
			after, change, err := Apply(tc.before, tc.edit)
			if !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			if after != nil || !change.Empty() {
				t.Errorf("a refusal must come with nothing to send, got %v", change)
			}
		})
	}
}

func TestApplyFillsThePolicyToTheBrim(t *testing.T) {
	after, _, err := Apply(crowd(MaxPrincipals-1), Edit{Add: []string{nodes}})
	if err != nil || !Holds(after, nodes) {
		t.Fatalf("the last place must be given: %v", err)
	}
	if _, change, err := Apply(crowd(MaxPrincipals+1), Edit{Remove: []string{crowdMember(0)}}); err != nil || change.Empty() {
		t.Errorf("an overfull policy may shrink: %v", err)
	}
}

func crowd(n int) *iampb.Policy {
	binding := readers()
	for i := range n {
		binding.Members = append(binding.Members, crowdMember(i))
	}
	return policyOf(binding)
}

func crowdMember(i int) string {
	return fmt.Sprintf("serviceAccount:n%d@acme.iam.gserviceaccount.com", i)
}

func TestIsServiceAccountMember(t *testing.T) {
	for _, member := range []string{
		nodes,
		"serviceAccount:123456-compute@developer.gserviceaccount.com",
		"serviceAccount:acme@appspot.gserviceaccount.com",
		"serviceAccount:nodes@web.example.com.iam.gserviceaccount.com",
		"serviceAccount:service-1@container-engine-robot.iam.gserviceaccount.com",
	} {
		if !IsServiceAccountMember(member) {
			t.Errorf("%s is a service account", member)
		}
	}
}

func TestSameMember(t *testing.T) {
	if !SameMember("user:Ada@Example.com", "user:ada@example.com") {
		t.Error("e-mail addresses are equal in any case")
	}
	if SameMember("principal://iam.googleapis.com/A", "principal://iam.googleapis.com/a") {
		t.Error("federated identities are equal only to the letter")
	}
	if SameMember("deleted:"+nodes+"?uid=1", nodes) {
		t.Error("a deleted account is another one")
	}
}
