// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"context"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// deleteGrant deletes the grant, and waits until this object is gone: a pod that fails may request the next one at once.
func deleteGrant(t *testing.T, grant *v1alpha1.PullAccessGrant) {
	t.Helper()
	g := &v1alpha1.PullAccessGrant{}
	if err := shared.client.Get(t.Context(), client.ObjectKeyFromObject(grant), g); err != nil {
		t.Fatal(err)
	}
	uid := g.UID
	if err := shared.client.Delete(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	eventually(t, "grant "+grant.Name+" is gone", func(ctx context.Context) (bool, any) {
		err := shared.client.Get(ctx, client.ObjectKeyFromObject(grant), g)
		return apierrors.IsNotFound(err) || err == nil && g.UID != uid, err
	})
}

// bringBack restores the backup, with or without its status, as kubectl apply does: a pod that fails may have requested the
// grant in between.
func bringBack(t *testing.T, backup *v1alpha1.PullAccessGrant, withStatus bool) {
	t.Helper()
	eventually(t, "the backup is restored", func(ctx context.Context) (bool, any) {
		g := backup.DeepCopy()
		g.ObjectMeta = metav1.ObjectMeta{Name: backup.Name, Annotations: backup.Annotations, Finalizers: backup.Finalizers}
		err := shared.client.Create(ctx, g)
		if apierrors.IsAlreadyExists(err) {
			err = shared.client.Patch(ctx, g, client.Merge)
		}
		if err != nil || !withStatus {
			return err == nil, err
		}
		g.Status = backup.Status
		err = shared.client.Status().Update(ctx, g)
		return err == nil, err
	})
}

func notRequested(g *v1alpha1.PullAccessGrant) bool {
	return is(g, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonNotRequested)
}

// TestRestoresOpenNothing deletes grants and creates them again from a backup, while no pod fails and while one does. Only what
// pods need now is granted, nothing that a person refused is, and the status of the deleted object counts for nothing.
func TestRestoresOpenNothing(t *testing.T) {
	l := newLab(t)
	l.start(t, node{name: "quick", backoff: quick})
	l.operator(t)
	p := newPlugin(t, "")
	bind(t, approver, "pull-access-approver")
	known(t, approver, "approve", "")
	healthy, denied := l.site(t, "restored", nodeProject), l.site(t, "restored-denied", nodeProject)
	create(t, healthy.policy(), healthy.deployment("quick", 1), denied.asking(), denied.deployment("quick", 1))

	granted := healthy.grant(t, "is Ready", healed)
	for _, withStatus := range []bool{false, true} {
		deleteGrant(t, granted)
		if got := healthy.readers(t); len(got) > 0 {
			t.Fatalf("readers %v are left after the grant was deleted", got)
		}
		bringBack(t, granted, withStatus)
		healthy.grant(t, "waits for a pod that needs it", func(g *v1alpha1.PullAccessGrant) bool {
			return notRequested(g) && g.Status.UID == g.UID && g.Status.Origin == ""
		})
		if got := healthy.readers(t); len(got) > 0 {
			t.Fatalf("a restored record granted access to %v; with status: %v", got, withStatus)
		}
	}
	healthy.failAnew(t)
	healthy.grant(t, "is granted to the pod that needs it", func(g *v1alpha1.PullAccessGrant) bool {
		return is(g, v1alpha1.ConditionGranted, metav1.ConditionTrue, v1alpha1.ReasonAccessGranted)
	})

	denied.grant(t, "waits for a review", waits)
	p.must(t, "deny", denied.name(), "--reason=not ours", "--as="+approver)
	backup := denied.grant(t, "was denied, also in its annotation", func(g *v1alpha1.PullAccessGrant) bool {
		return hasEnded(v1alpha1.EndDenied)(g) && g.Annotations[v1alpha1.ReviewAnnotation] == string(v1alpha1.ReviewDenied)
	})
	backup.Status.Review = nil // The admission policy lets nobody write a review under another's name.
	for _, withStatus := range []bool{false, true} {
		deleteGrant(t, backup)
		bringBack(t, backup, withStatus)
		denied.grant(t, "stays denied", hasEnded(v1alpha1.EndDenied))
	}
	if n := l.writes(denied.resource()); n != 0 {
		t.Errorf("the IAM policy of what was denied was written %d times", n)
	}
}
