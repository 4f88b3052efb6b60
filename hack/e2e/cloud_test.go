// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
)

// cloudCase is something that Google may answer when the operator writes.
type cloudCase struct {
	fault gcpemulator.Fault
	// node is "slow" if empty, account that of the node.
	node, account string
	// reason is that of the condition Granted if the grant ends without the member; else it heals in so many writes.
	reason string
	words  []string
	writes int
}

const (
	goneAccount = "gone@" + nodeProject + ".iam.gserviceaccount.com"
	writeMethod = "SetIamPolicy"
)

var cloudCases = map[string]cloudCase{
	"quota": {
		fault:  gcpemulator.Fault{HTTPStatus: http.StatusTooManyRequests, RetryAfter: time.Second, Times: 1},
		writes: 2,
	},
	"unavailable":    {fault: gcpemulator.Fault{HTTPStatus: http.StatusServiceUnavailable, Times: 2}, writes: 3},
	"broken-off":     {fault: gcpemulator.Fault{Reset: true, Times: 1}, writes: 2},
	"done-but-error": {fault: gcpemulator.Fault{HTTPStatus: http.StatusServiceUnavailable, After: true, Times: 1}, writes: 1},
	"forbidden": {
		fault:  gcpemulator.Fault{HTTPStatus: http.StatusForbidden, Message: "The caller does not have permission"},
		reason: v1alpha1.ReasonCloudForbidden, words: []string{"artifactregistry.repositories.getIamPolicy and .setIamPolicy"},
		writes: 1,
	},
	"organization": {
		fault: gcpemulator.Fault{
			HTTPStatus: http.StatusBadRequest, Status: "FAILED_PRECONDITION",
			Message: "One or more users named in the policy do not belong to a permitted customer.",
		},
		reason: v1alpha1.ReasonOrganizationPolicy, words: []string{"An organization policy refuses", "ask its administrator for an exception"},
		writes: 1,
	},
	"account-gone": {
		node: "gone", account: goneAccount,
		reason: v1alpha1.ReasonAccountNotFound, words: []string{goneAccount, "give the node pool another account"},
		writes: 1,
	},
}

// TestCloudErrors has Google answer otherwise than with success: what may pass is tried again and heals, what people have to
// change is tried once and said.
func TestCloudErrors(t *testing.T) {
	l := newLab(t)
	l.start(t, node{name: "slow", backoff: slow})
	l.start(t, node{name: "gone", backoff: slow, account: goneAccount})
	l.operator(t)
	// All policies come first: each wakes the grants that are still to be written.
	sites := map[string]*site{}
	for name, tc := range cloudCases {
		sites[name] = l.site(t, name, nodeProject)
		sites[name].account = cmp.Or(tc.account, nodeAccount)
		create(t, sites[name].policy())
	}
	another, last := l.site(t, "another-writer", nodeProject), l.site(t, "after-all", nodeProject)
	slower := last.policy()
	slower.Spec.Restart.Delay = delay(5 * time.Second)
	create(t, another.policy(), slower)

	t.Run("cases", func(t *testing.T) {
		for name, tc := range cloudCases {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				cloudError(t, sites[name], tc)
			})
		}
		t.Run("another-writer", func(t *testing.T) {
			t.Parallel()
			anotherWriter(t, another)
		})
	})
	// A whole story later, longer than the first pauses between repetitions, nothing was tried again that can't succeed.
	create(t, last.deployment("slow", 1))
	last.grant(t, "is Ready", healed)
	for name, tc := range cloudCases {
		if got := l.writes(sites[name].resource()); got != tc.writes {
			t.Errorf("%s: the policy was written %d times, want %d", name, got, tc.writes)
		}
	}
}

func cloudError(t *testing.T, s *site, tc cloudCase) {
	t.Helper()
	if tc.account == "" {
		tc.fault.Method, tc.fault.Match = writeMethod, s.resource()
		s.cloud.InjectFault(tc.fault)
	}
	create(t, s.deployment(cmp.Or(tc.node, "slow"), 1))
	if tc.reason == "" {
		s.healedOnce(t, s.grant(t, "is Ready", healed))
		return
	}
	grant := s.grant(t, "is refused by "+tc.reason, func(g *v1alpha1.PullAccessGrant) bool {
		return is(g, v1alpha1.ConditionGranted, metav1.ConditionFalse, tc.reason)
	})
	for _, c := range grant.Status.Conditions {
		if c.Type == v1alpha1.ConditionGranted || c.Type == v1alpha1.ConditionReady {
			wantWords(t, c.Message, tc.words...)
		}
	}
	told := event(t, "default", "PullAccessPolicy", s.namespace, tc.reason)
	wantWords(t, told.Note, tc.words...)
	if told.Type != corev1.EventTypeWarning {
		t.Errorf("the event is %s, want Warning", told.Type)
	}
	if got := s.readers(t); len(got) != 0 {
		t.Errorf("readers %v, want none", got)
	}
	s.wantRestarts(t, 0)
}

// anotherWriter writes between the operator's read and its write: Google refuses the write by the etag, and both members are
// in the policy in the end.
func anotherWriter(t *testing.T, s *site) {
	t.Helper()
	s.cloud.InjectFault(gcpemulator.Fault{Method: writeMethod, Match: s.resource(), Times: 1, Delay: time.Second})
	create(t, s.deployment("slow", 1))
	eventually(t, "the operator writes the policy", func(context.Context) (bool, any) { return s.writes(s.resource()) == 1, nil })
	const other = "group:developers@example.com"
	s.allow(other)
	s.grant(t, "is Ready", healed)
	if diff := gocmp.Diff([]string{other, s.member()}, s.readers(t)); diff != "" {
		t.Errorf("readers of the repository (-want +got):\n%s", diff)
	}
	statuses := s.answers(s.resource())
	if want := []int{http.StatusConflict, http.StatusOK}; !slices.Equal(statuses, want) {
		t.Errorf("the writes were answered %v, want %v", statuses, want)
	}
}

// TestRevokes deletes grants: the operator takes out what it added, and nothing else.
func TestRevokes(t *testing.T) {
	l := newLab(t)
	l.start(t, node{name: "slow", backoff: slow})
	p := newProxy(t)
	startOperator(t, launch{endpoint: l.cloud.URL(), kubeconfig: p.kubeconfig(t)})
	const other = "group:developers@example.com"

	t.Run("added", func(t *testing.T) {
		s := l.site(t, "revokes", nodeProject)
		foreign := []*iampb.Binding{
			{Role: readerRole, Members: []string{other, "user:dev@example.com"}},
			{Role: "roles/artifactregistry.writer", Members: []string{s.member()}},
		}
		s.allow(foreign[0].Members...)
		create(t, s.policy(), s.deployment("slow", 1))
		grant := s.grant(t, "is Ready", healed)
		before := l.cloud.Policy(s.resource())
		// Another role of the same account is nobody's but its giver's. It comes now, since it would have let the node in.
		l.cloud.SetPolicy(s.resource(), &iampb.Policy{Bindings: append(before.GetBindings(), foreign[1])})

		if out, err := shared.Kubectl(t.Context(), "delete", "pag", grant.Name, "--timeout="+patience.String()); err != nil {
			t.Fatal(out, err)
		}
		got := l.cloud.Policy(s.resource()).GetBindings()
		if diff := gocmp.Diff(foreign, got, gocmp.Comparer(sameBinding)); diff != "" {
			t.Errorf("bindings after the grant was deleted (-want +got):\n%s", diff)
		}
		event(t, "default", "PullAccessGrant", grant.Name, "AccessRevoked")
	})

	t.Run("found", func(t *testing.T) {
		s := l.site(t, "found", nodeProject)
		g := &gate{method: http.MethodPost, path: grantsPath}
		p.hold(g)
		create(t, s.policy(), s.deployment("slow", 1))
		s.awaitMoment(t, killCase{gate: g})
		s.allow(s.member()) // Somebody was faster.
		p.hold()
		grant := s.grant(t, "is Ready", healed)
		if grant.Status.Origin != v1alpha1.OriginFound {
			t.Errorf("the grant's origin is %q, want Found", grant.Status.Origin)
		}
		if out, err := shared.Kubectl(t.Context(), "delete", "pag", grant.Name, "--timeout="+patience.String()); err != nil {
			t.Fatal(out, err)
		}
		if got := s.readers(t); len(got) != 1 || got[0] != s.member() {
			t.Errorf("readers %v, want %s, who was there before the operator", got, s.member())
		}
		// What was read for the diagnosis may be sent, under the etag of then.
		if answers := l.answers(s.resource()); slices.ContainsFunc(answers, func(code int) bool { return code != http.StatusConflict }) {
			t.Errorf("writes were answered %v, want none but conflicts", answers)
		}
	})
}

func sameBinding(a, b *iampb.Binding) bool {
	return a.GetRole() == b.GetRole() && slices.Equal(a.GetMembers(), b.GetMembers())
}
