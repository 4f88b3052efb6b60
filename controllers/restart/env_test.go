// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

const image = controllertest.Image

// granted is the time of the grant.
var granted = controllertest.Start

func after(d time.Duration) *metav1.Time { return &metav1.Time{Time: granted.Add(d)} }

// env is an environment with the reconciler. Its node-1 pulls as the member of the grant.
type env struct {
	*controllertest.Env
	r *Reconciler
}

func newEnv(t *testing.T, objects ...client.Object) *env {
	t.Helper()
	e := controllertest.New(t, append(objects, controllertest.Node("node-1", controllertest.ProviderID))...)
	e.Index(&corev1.Pod{}, byFailingRepository, indexFailing)
	e.Index(&v1alpha1.PullAccessGrant{}, byWorkload, indexWorkloads)
	e.Cloud.Accounts[controllertest.ProviderID] = controllertest.NodeAccount(controllertest.Account)
	ledger := e.Ledger()
	return &env{e, New(Reconciler{
		Client: e.Client, Live: e.Client, Pods: e.Lister, Pullers: e.Cloud, Recorder: e.Recorder, Clock: e.Clock,
		Owners: workload.NewOwners(e.Client), Nodes: workload.NewNodes(e.Client), Ledger: ledger,
	})}
}

// grantedAt is a grant that a pull has used since then.
func grantedAt(effective *metav1.Time) *v1alpha1.PullAccessGrant {
	return controllertest.Grant(controllertest.Member, func(g *v1alpha1.PullAccessGrant) {
		g.Status.GrantedTime, g.Status.EffectiveTime = after(0), effective
	})
}

// stuckAt is a pod that was made so long after the grant and cannot pull.
func stuckAt(d time.Duration) []*corev1.Pod {
	return []*corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Name: "web-1", CreationTimestamp: *after(d)}}}
}

// limited is a policy that allows so many restarts in an hour, 0 for the default.
func limited(name string, perHour int32) *v1alpha1.PullAccessPolicy {
	return controllertest.Policy(func(p *v1alpha1.PullAccessPolicy) {
		p.Name, p.Spec.Limits.MaxRestartsPerHour = name, perHour
	})
}

// due is what is observed of a workload that is to be restarted now.
func due() view {
	return view{stuck: stuckAt(-time.Minute), covered: true, spec: restartSpec{strategy: v1alpha1.RestartRollout, maxAttempts: 3}}
}

// allDue is a grant with so many workloads under policy "prod" that are due.
func allDue(workloads int) (*v1alpha1.PullAccessGrant, map[int]view) {
	grant, views := grantedAt(nil), map[int]view{}
	for i := range workloads {
		grant.Status.Workloads = append(grant.Status.Workloads, controllertest.Waiting(workload.Deployment, fmt.Sprint(i)))
		views[i] = due()
	}
	return grant, views
}
