// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/type/expr"
	"google.golang.org/protobuf/testing/protocmp"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
)

func TestNothingToDo(t *testing.T) {
	e := newEnv(t, readers(foreign))
	if result := e.mustPass(); result != (reconcile.Result{}) || e.edits() != 0 {
		t.Errorf("a repository without grants led to %+v and %d edits", result, e.edits())
	}
}

// TestMembersOfOneRepositoryGoInTogether also looks at what must stay as found.
func TestMembersOfOneRepositoryGoInTogether(t *testing.T) {
	e := newEnv(t, readers(foreign), enforcing(), requested(nodes), requested(batch))
	iamPolicy := e.Cloud.IAMPolicies[repository.Name]
	iamPolicy.Bindings = append(iamPolicy.Bindings,
		&iampb.Binding{Role: "roles/artifactregistry.writer", Members: []string{"user:ci@example.com"}},
		&iampb.Binding{Role: iampolicy.Role, Members: []string{spare}, Condition: &expr.Expr{Title: "office", Expression: "true"}})
	before := e.Cloud.OtherBindings(repository.Name)

	if result := e.mustPass(); result != (reconcile.Result{RequeueAfter: checkEvery}) {
		t.Errorf("Reconcile = %+v, want a look later on whether they still are there", result)
	}
	if len(e.Cloud.Sent) != 1 || len(e.Cloud.Sent[0].Added) != 2 {
		t.Fatalf("sent %+v, want both members by one write", e.Cloud.Sent)
	}
	if got := e.Cloud.Readers(repository.Name); got[0] != foreign || len(got) != 3 || !slices.Contains(got, nodes) || !slices.Contains(got, batch) {
		t.Errorf("the readers are %q", got)
	}
	if diff := cmp.Diff(before, e.Cloud.OtherBindings(repository.Name), protocmp.Transform()); diff != "" {
		t.Errorf("other bindings were changed (-before +after):\n%s", diff)
	}
	for _, member := range []string{nodes, batch} {
		e.wantCondition(member, v1alpha1.ConditionGranted, "True AccessGranted")
		e.wantCondition(member, v1alpha1.ConditionApproved, "True PolicyEnforces")
		g := e.grant(member)
		if g.Status.Origin != v1alpha1.OriginAdded || g.Status.Write.EtagAfter != e.Cloud.Etag(repository.Name) || !g.Status.GrantedTime.Time.Equal(now) {
			t.Errorf("%s: the record says %+v", member, g.Status)
		}
		if !strings.Contains(e.Cloud.Reasons[0], g.Name) {
			t.Errorf("the request reason %q does not name grant %s", e.Cloud.Reasons[0], g.Name)
		}
		for _, event := range []string{"AccessGranted PullAccessGrant/" + g.Name, "AccessGranted PullAccessPolicy/prod"} {
			if !slices.Contains(e.Recorder.Events(), event) {
				t.Errorf("event %q was not told: %q", event, e.Recorder.Events())
			}
		}
	}

	told := len(e.Recorder.Events())
	e.mustPass()
	if e.edits() != 1 || len(e.Recorder.Events()) != told {
		t.Errorf("run twice, it edited %d times and told %q more", e.edits(), e.Recorder.Events()[told:])
	}
}

func TestFoundMemberIsNotOurs(t *testing.T) {
	e := newEnv(t, readers(foreign, nodes), enforcing(), requested(nodes))
	e.mustPass()
	e.wantCondition(nodes, v1alpha1.ConditionGranted, "True AlreadyGranted")
	if g := e.grant(nodes); g.Status.Origin != v1alpha1.OriginFound || g.Status.Write != nil || len(e.Cloud.Sent) != 0 {
		t.Errorf("a member found there left %+v and %d writes", g.Status, len(e.Cloud.Sent))
	}
	e.Delete(e.grant(nodes))
	e.mustPass()
	e.wantReaders(foreign, nodes)
	if e.grant(nodes) != nil {
		t.Error("the grant is held although there is nothing to take back")
	}
}

// TestOneRefusedMemberKeepsOutNoOther: in one batch with it are another member
// and a revocation.
func TestOneRefusedMemberKeepsOutNoOther(t *testing.T) {
	tests := map[string]struct {
		refuse error
		want   string
		why    string
	}{
		"missing account": {
			&iampolicy.MissingMemberError{Member: batch}, "False AccountNotFound",
			"Google names the one account for which it refuses the whole policy",
		},
		"organization policy":   {iampolicy.ErrOrgPolicy, "False OrganizationPolicy", "Google does not say whom it means"},
		"invalid":               {iampolicy.ErrInvalid, "False WriteRefused", "Google does not say whom it means"},
		"too many principals":   {iampolicy.ErrTooManyPrincipals, "False TooManyPrincipals", "one more may have room"},
		"not a service account": {iampolicy.ErrMember, "False WriteRefused", "the edit refuses it"},
		"nobody":                {nil, "True AccessGranted", "without a refusal all go in"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, readers(foreign, spare), enforcing(), requested(nodes), requested(batch), granted(spare, v1alpha1.OriginAdded))
			e.Cloud.Refused = map[string]error{batch: tc.refuse}
			e.Delete(e.grant(spare))

			result := e.mustPass()
			e.wantCondition(batch, v1alpha1.ConditionGranted, tc.want)
			e.wantCondition(nodes, v1alpha1.ConditionGranted, "True AccessGranted")
			if e.grant(spare) != nil || slices.Contains(e.Cloud.Readers(repository.Name), spare) {
				t.Errorf("%s: the revocation was not done (%s)", name, tc.why)
			}
			if g := e.grant(batch); tc.refuse != nil && g.Status.Write != nil {
				t.Errorf("the refused grant keeps the intent %+v: the refusal was certain", g.Status.Write)
			}
			if tc.refuse == nil {
				if result.RequeueAfter != checkEvery || len(e.Cloud.Sent) != 1 {
					t.Errorf("RequeueAfter %v after %d writes, want a later look after one", result.RequeueAfter, len(e.Cloud.Sent))
				}
				return
			}
			e.wantReaders(foreign, nodes)
			if result.RequeueAfter != recheckAfter {
				t.Errorf("RequeueAfter = %v, want %v: %s", result.RequeueAfter, recheckAfter, tc.why)
			}
		})
	}
}

// TestAFullPolicyTakesWhatFits is the edit's own count, not Google's.
func TestAFullPolicyTakesWhatFits(t *testing.T) {
	e := newEnv(t, slices.Repeat([]string{foreign}, iampolicy.MaxPrincipals-1), enforcing(), requested(nodes), requested(batch))
	if result := e.mustPass(); result.RequeueAfter != recheckAfter {
		t.Errorf("RequeueAfter = %v, want %v", result.RequeueAfter, recheckAfter)
	}
	var in, out int
	for _, member := range []string{nodes, batch} {
		switch condition(e.grant(member), v1alpha1.ConditionGranted) {
		case "True AccessGranted":
			in++
		case "False TooManyPrincipals":
			out++
		}
	}
	if in != 1 || out != 1 || len(e.Cloud.Readers(repository.Name)) != iampolicy.MaxPrincipals {
		t.Errorf("%d went in and %d were refused, with %d readers; want one each", in, out, len(e.Cloud.Readers(repository.Name)))
	}
}

// TestARefusalIsToldOnce: it stands in the condition for as long as it holds.
func TestARefusalIsToldOnce(t *testing.T) {
	e := newEnv(t, readers(), enforcing(), requested(nodes))
	e.nextEdits(iampolicy.ErrForbidden, iampolicy.ErrForbidden, iampolicy.ErrNotFound, nil)
	for i, want := range []int{2, 2, 4, 6} { // Each is told on the grant and on the policy.
		e.mustPass()
		if len(e.Recorder.Events()) != want {
			t.Errorf("after pass %d %d events were told, want %d: %q", i+1, len(e.Recorder.Events()), want, e.Recorder.Events())
		}
	}
	e.wantCondition(nodes, v1alpha1.ConditionGranted, "True AccessGranted")
}
