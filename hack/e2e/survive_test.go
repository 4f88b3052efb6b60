// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"context"
	"net/http"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
)

// forGood is longer than any test: what is held up so long is not let go by time.
const forGood = time.Hour

// killCase is one moment at which the operator dies.
type killCase struct {
	// gate is the request to the API server that it dies over.
	gate *gate
	// fault is the request to Google that it dies over.
	fault *gcpemulator.Fault
	// delay is the policy's, before a restart; the operator dies while it waits for it.
	delay time.Duration
	// gentle has the rollout keep its stuck pods until the new ones have been ready for a while, so that the next operator
	// still sees them.
	gentle bool
}

const grantsPath = "/pullaccessgrants"

// killCases are in the order of the way through.
var killCases = map[string]killCase{
	"1-before-the-grant-is-made":   {gate: &gate{method: http.MethodPost, path: grantsPath}},
	"2-grant-made":                 {gate: &gate{method: http.MethodPost, path: grantsPath, after: true}},
	"3-before-the-intent":          {gate: &gate{method: http.MethodPatch, path: grantsPath, body: `"intentTime"`}},
	"4-intent-but-no-write":        {fault: &gcpemulator.Fault{Method: "SetIamPolicy", Times: 1, Delay: forGood}},
	"5-write-without-an-answer":    {fault: &gcpemulator.Fault{Method: "SetIamPolicy", Times: 1, Delay: forGood, After: true}},
	"6-write-but-no-record":        {gate: &gate{method: http.MethodPatch, path: grantsPath, body: `"etagAfter"`}},
	"7-record-but-no-restart":      {delay: 4 * time.Second},
	"8-restart-recorded-not-done":  {gate: &gate{method: http.MethodPatch, path: "/deployments/"}},
	"9-restart-without-an-answer":  {gate: &gate{method: http.MethodPatch, path: "/deployments/", after: true}, gentle: true},
	"10-before-the-recovery-shows": {gate: &gate{method: http.MethodPatch, path: grantsPath, body: `"recoveredTime"`}},
}

// TestSurvivesKills has the operator killed between any two steps and started again. The end is always the same.
func TestSurvivesKills(t *testing.T) {
	l := newLab(t)
	l.start(t, node{name: "slow", backoff: slow})
	for name, tc := range killCases {
		t.Run(name, func(t *testing.T) { survives(t, l, "kill-"+name, "slow", tc) })
	}
}

func survives(t *testing.T, l *lab, namespace, node string, tc killCase) {
	t.Helper()
	p := newProxy(t)
	first := startOperator(t, launch{endpoint: l.cloud.URL(), kubeconfig: p.kubeconfig(t)})
	s := l.site(t, namespace, nodeProject)
	policy := s.policy()
	policy.Spec.Restart.Delay = delay(tc.delay)
	if tc.gate != nil {
		// A gate serves once, and the real node's run has the same cases.
		tc.gate = tc.gate.anew()
		p.hold(tc.gate)
	}
	if tc.fault != nil {
		l.cloud.InjectFault(*tc.fault)
	}
	deployment := s.deployment(node, 2)
	if tc.gentle {
		deployment.Spec.MinReadySeconds = 4
		deployment.Spec.Strategy.RollingUpdate = &appsv1.RollingUpdateDeployment{MaxUnavailable: ptr.To(intstr.FromInt32(0))}
	}
	create(t, policy, deployment)
	s.awaitMoment(t, tc)
	first.Kill()
	l.cloud.ClearFaults()

	l.operator(t)
	grant := s.grant(t, "is Ready", healed)
	s.running(t, 2)
	s.healedOnce(t, grant)
}

// awaitMoment waits until the operator has come to where it is to die.
func (s *site) awaitMoment(t *testing.T, tc killCase) {
	t.Helper()
	switch {
	case tc.gate != nil:
		eventually(t, "the operator sends what it is to die over", func(context.Context) (bool, any) {
			return tc.gate.isReached(), nil
		})
	case tc.fault != nil:
		eventually(t, "the operator writes the policy", func(context.Context) (bool, any) { return s.writes(s.resource()) == 1, nil })
		if tc.fault.After {
			eventually(t, "the member is in the policy", func(context.Context) (bool, any) { return len(s.readers(t)) == 1, nil })
		}
	default:
		s.grant(t, "is on record as written", func(g *v1alpha1.PullAccessGrant) bool {
			return is(g, v1alpha1.ConditionGranted, metav1.ConditionTrue, v1alpha1.ReasonAccessGranted)
		})
		s.wantRestarts(t, 0)
	}
}

// TestElectsOne has two operators of which one acts, and the other when the first has died.
func TestElectsOne(t *testing.T) {
	l := newLab(t)
	l.start(t, node{name: "slow", backoff: slow})
	elect := []string{"--leader-elect", "--leader-election-namespace=" + operatorNamespace}
	// One of them reads its caches page by page, as it does from an API server that can't stream lists.
	operators := []*operator{
		startOperator(t, launch{endpoint: l.cloud.URL(), args: elect, env: []string{"KUBE_FEATURE_WatchListClient=false"}}),
		startOperator(t, launch{endpoint: l.cloud.URL(), args: elect}),
	}
	leader := awaitLeader(t, operators)
	s := l.site(t, "elects", nodeProject)
	create(t, s.policy(), s.deployment("slow", 2))
	s.healedOnce(t, s.grant(t, "is Ready", healed))
	if n := l.writes(s.resource()); n != 1 {
		t.Errorf("the policy was written %d times, want once", n)
	}
	if got := operators[1-leader].metric(t.Context(), `pullaccess_grants_total{result="AccessGranted"}`); got != "" {
		t.Errorf("the operator that does not lead shows %s grants", got)
	}

	operators[leader].Kill()
	next := l.site(t, "elects-next", nodeProject)
	create(t, next.policy(), next.deployment("slow", 2))
	next.healedOnce(t, next.grant(t, "is Ready", healed))
}

// awaitLeader returns which of the operators leads, after both have tried to.
func awaitLeader(t *testing.T, operators []*operator) int {
	t.Helper()
	leader := -1
	eventually(t, "one of the operators leads", func(ctx context.Context) (bool, any) {
		var saw []string
		for i, o := range operators {
			status := o.metric(ctx, `leader_election_master_status{name="`+operatorName+`"}`)
			if saw = append(saw, status); status == "1" {
				leader = i
			}
		}
		return leader >= 0, saw
	})
	var lease coordinationv1.Lease
	key := client.ObjectKey{Namespace: operatorNamespace, Name: operatorName}
	if err := shared.client.Get(t.Context(), key, &lease); err != nil {
		t.Error(err)
	}
	return leader
}

// TestRestsWithoutCloud has the operator start where Google can't be reached: it is ready, and the policy says what is wrong.
func TestRestsWithoutCloud(t *testing.T) {
	l := newLab(t)
	o := startOperator(t, launch{endpoint: "http://" + freeAddress(t)})
	policy := (&site{lab: l, namespace: "unreachable", account: nodeAccount}).policy()
	policy.Spec.Repositories = []v1alpha1.RepositoryPattern{{Project: nodeProject, Location: location, Name: "unreachable"}}
	create(t, policy)
	c := policyCondition(t, policy.Name, v1alpha1.ConditionCloudAccess, metav1.ConditionFalse, v1alpha1.ReasonCloudUnreachable)
	wantWords(t, c.Message, nodeProject+"/"+location+"/unreachable", "cannot be reached")
	policyCondition(t, policy.Name, v1alpha1.ConditionReady, metav1.ConditionUnknown, v1alpha1.ReasonCloudUnreachable)
	event(t, "default", "PullAccessPolicy", policy.Name, v1alpha1.ReasonCloudUnreachable)
	for _, path := range []string{"/readyz", "/healthz"} {
		if code, body := get(t.Context(), "http://"+o.Probes+path); code != http.StatusOK {
			t.Errorf("%s answers %d: %s", path, code, body)
		}
	}
}
