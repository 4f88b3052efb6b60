// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster && faults

package e2e

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

const (
	// replicas are those of each Deployment.
	replicas = 2
	// lifePatience bounds the wait for all cells of a life together, back-offs after an outage included.
	lifePatience = 4 * time.Minute
)

// life is what one operator lives through, with one fault of the API server, and its cells, each on a site of its own. Where
// it dies it does so once for all of them, so each cell's request is held up until all have come to where they are to die.
type life struct {
	*lab
	api   clusterFault
	cells []*cell
	// decoy is a site whose repository no policy lists.
	decoy *site

	// first lives from the beginning, standby beside it where one is elected, and next after its death.
	first, standby, next *keptOperator
	// dead: the first was killed.
	dead bool
	// before is how many requests the cloud had seen.
	before int
	// meddle stands on the way of its operators, nil if nothing does; it strikes once striking is set, and struck counts.
	meddle   meddler
	striking atomic.Bool
	struck   atomic.Int64
}

// cell is one cell of the matrix.
type cell struct {
	*site
	at         coordinates
	crash      crashPoint
	cloudFault cloudFault
	gate       *gate
	// seed is the repository's policy before the operator, all of it of others.
	seed *iampb.Policy
	// late says where it did not come to in time, "" if there is nothing to say.
	late string
	// woken: it was refused, and its policy changed since.
	woken bool
}

// newCell makes the cell's site.
func (l *lab) newCell(t *testing.T, namespace string, p coordinates, crash crashPoint, cloud cloudFault) *cell {
	t.Helper()
	c := &cell{site: l.site(t, namespace, nodeProject), at: p, crash: crash, cloudFault: cloud, gate: crash.gate.anew()}
	c.gate.about = c.name()
	if c.gate.path == restartGate().path {
		c.gate.about = "/namespaces/" + namespace + "/"
	}
	c.seedPolicy()
	return c
}

// begin starts an operator, or two of which the first leads.
func (f *life) begin(t *testing.T) {
	t.Helper()
	if f.api.meddle != nil {
		f.meddle = f.api.meddle(f)
	}
	f.first = f.keep(t, f.meddle, f.args()...)
	f.first.awaitReady(t)
	if !f.api.elect {
		return
	}
	eventually(t, "the first operator leads", func(ctx context.Context) (bool, any) { return f.first.leads(ctx), nil })
	f.standby = f.keep(t, f.meddle, f.args()...)
	f.standby.awaitReady(t)
}

func (f *life) args() []string {
	if f.api.elect {
		return []string{"--leader-elect", "--leader-election-namespace=" + operatorNamespace}
	}
	return nil
}

// die brings every cell to where its operator is to die, and kills it. Of those of one controller as many are held up as it
// has workers, less one; so they come in the order in which they need a worker that is free.
func (f *life) die(t *testing.T) {
	t.Helper()
	first := f.those(func(c crashPoint) bool { return c.faultFirst && !c.overWrite && !c.revoking })
	f.approach(t, first)
	revoking := f.those(func(c crashPoint) bool { return c.revoking })
	for _, c := range revoking {
		create(t, c.failing())
	}
	f.await(t, "is healed", revoking, f.isHealed)
	last := f.those(func(c crashPoint) bool { return c.faultFirst && !c.overWrite && c.revoking })
	f.approach(t, last)
	f.await(t, "has come to its crash", slices.Concat(first, last), isHeldUp)

	rest := f.those(func(c crashPoint) bool { return !c.faultFirst || c.overWrite })
	f.approach(t, rest)
	f.await(t, "has come to its crash", rest, isHeldUp)
	writing := f.those(func(c crashPoint) bool { return c.overWrite })
	for _, c := range writing {
		f.first.open(c.gate)
	}
	f.await(t, "is written without an answer", writing, isWritten)
	f.first.kill()
	f.dead = true
}

// those are the cells of some crash points.
func (f *life) those(which func(crashPoint) bool) []*cell {
	var some []*cell
	for _, c := range f.cells {
		if which(c.crash) {
			some = append(some, c)
		}
	}
	return some
}

// approach has the cells begin the way to their crash.
func (f *life) approach(t *testing.T, cells []*cell) {
	t.Helper()
	for _, c := range cells {
		f.first.holdToo(c.gate)
		for _, fault := range c.cloudFaults() {
			f.cloud.InjectFault(fault)
		}
		if !c.crash.revoking {
			create(t, c.failing())
			continue
		}
		if err := shared.client.Delete(t.Context(), &v1alpha1.PullAccessGrant{ObjectMeta: metav1.ObjectMeta{Name: c.name()}}); err != nil {
			t.Fatal(err)
		}
	}
}

// failing is a Deployment that cannot pull.
func (c *cell) failing() *appsv1.Deployment {
	deployment := c.deployment("slow", replicas)
	if c.crash.gentle {
		deployment.Spec.MinReadySeconds = 4
		deployment.Spec.Strategy.RollingUpdate = &appsv1.RollingUpdateDeployment{MaxUnavailable: ptr.To(intstr.FromInt32(0))}
	}
	return deployment
}

// strike has the API server's fault begin in the moment of death, or in the middle of a life that goes on, and returns when
// it is over.
func (f *life) strike(t *testing.T) {
	t.Helper()
	t.Cleanup(func() { recoverCluster(t) }) // Also where this ends early.
	f.striking.Store(true)
	if f.api.begin != nil {
		f.api.begin(t, f)
	}
	if f.dead {
		f.next = f.keep(t, f.meddle, f.args()...)
	} else {
		for _, c := range f.cells {
			f.first.open(c.gate)
		}
	}
	if f.api.end != nil {
		f.api.end(t, f)
	}
}

// await waits until all cells are as wished. One that is not in time is noted, and the others go on.
func (f *life) await(t *testing.T, what string, cells []*cell, wish func(context.Context, *cell) (bool, any)) {
	t.Helper()
	saw := map[*cell]any{}
	pending := slices.DeleteFunc(slices.Clone(cells), func(c *cell) bool { return c.late != "" })
	_ = wait.PollUntilContextTimeout(t.Context(), pollInterval, lifePatience, true, func(ctx context.Context) (bool, error) {
		pending = slices.DeleteFunc(pending, func(c *cell) bool {
			c.wake(ctx)
			done, now := wish(ctx, c)
			saw[c] = now
			return done
		})
		return len(pending) == 0, nil
	})
	for _, c := range pending {
		c.late = fmt.Sprintf("it never came to be that it %s; last seen: %s", what, show(saw[c]))
	}
}

// wake does what people do for a grant that Google refused, once they have given the operator its rights back: they change
// the policy, and need not wait until the operator tries again by itself. Without an answer it is tried at the next look.
func (c *cell) wake(ctx context.Context) {
	if !c.cloudFault.refused || c.woken {
		return
	}
	grant := &v1alpha1.PullAccessGrant{}
	if err := shared.client.Get(ctx, client.ObjectKey{Name: c.name()}, grant); err != nil {
		return
	}
	refused := is(grant, v1alpha1.ConditionGranted, metav1.ConditionFalse, v1alpha1.ReasonCloudForbidden) ||
		is(grant, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonCloudForbidden)
	if !refused {
		return
	}
	policy := &v1alpha1.PullAccessPolicy{}
	if err := shared.client.Get(ctx, client.ObjectKey{Name: c.namespace}, policy); err != nil {
		return
	}
	before := policy.DeepCopy()
	policy.Spec.Restart.MaxAttempts = v1alpha1.DefaultMaxAttempts + 1
	c.woken = shared.client.Patch(ctx, policy, client.MergeFrom(before)) == nil
}

// isHeldUp tells whether the cell's request has come to its gate.
func isHeldUp(_ context.Context, c *cell) (bool, any) {
	return c.gate.isReached(), c.answers(c.resource())
}

// isWritten tells whether the write was done over which the cell dies, and its answer kept back.
func isWritten(_ context.Context, c *cell) (bool, any) {
	got := c.answers(c.resource())
	return len(got) == len(c.wantStatuses()) && c.isMember() != c.crash.revoking, got
}

// isHealed tells whether the cell's grant has come to its good end, and its pods run.
func (f *life) isHealed(ctx context.Context, c *cell) (bool, any) {
	grant := &v1alpha1.PullAccessGrant{}
	if err := shared.client.Get(ctx, client.ObjectKey{Name: c.name()}, grant); err != nil {
		return false, err
	}
	return healed(grant) && c.areRunning(ctx), grant.Status
}

// isOver tells whether the cell has come to its end: healed, or let go of.
func (f *life) isOver(ctx context.Context, c *cell) (bool, any) {
	if !c.crash.revoking {
		return f.isHealed(ctx, c)
	}
	grant := &v1alpha1.PullAccessGrant{}
	err := shared.client.Get(ctx, client.ObjectKey{Name: c.name()}, grant)
	return apierrors.IsNotFound(err) && c.areRunning(ctx), []any{err, grant.Status}
}

func (c *cell) areRunning(ctx context.Context) bool {
	var list corev1.PodList
	err := shared.client.List(ctx, &list, client.InNamespace(c.namespace))
	return err == nil && len(list.Items) == replicas && !slices.ContainsFunc(list.Items, func(p corev1.Pod) bool { return !isReady(&p) })
}

func (c *cell) isMember() bool {
	return slices.ContainsFunc(c.cloud.Policy(c.resource()).GetBindings(), func(b *iampb.Binding) bool {
		return slices.Contains(b.GetMembers(), c.member())
	})
}
