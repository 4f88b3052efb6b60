// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package outcome

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

func TestOf(t *testing.T) {
	resource := schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "pullaccessgrants"}
	conflict := fmt.Errorf("record: %w", apierrors.NewConflict(resource, "g", errors.New("changed")))
	exists := apierrors.NewAlreadyExists(resource, "g")
	ill := errors.New("the API server is ill")
	later := reconcile.Result{RequeueAfter: time.Hour}
	soon := reconcile.Result{RequeueAfter: again}
	tests := map[string]struct {
		err     error
		want    reconcile.Result
		wantErr bool
		why     string
	}{
		"no error":                   {want: later, why: "the pass has said when"},
		"conflict":                   {err: conflict, want: soon, why: "the cache was behind"},
		"already exists":             {err: exists, want: soon, why: "another pass made it"},
		"two conflicts":              {err: errors.Join(conflict, exists), want: soon},
		"conflicts, joined twice":    {err: errors.Join(errors.Join(conflict), exists), want: soon},
		"conflict and a real error":  {err: errors.Join(conflict, ill), wantErr: true, why: "a real error is not hidden by a harmless one"},
		"a real error inside a join": {err: errors.Join(conflict, errors.Join(conflict, ill)), wantErr: true},
		"another error":              {err: ill, wantErr: true},
		"another API error":          {err: apierrors.NewInternalError(ill), wantErr: true},
		"something is not there":     {err: apierrors.NewNotFound(resource, "g"), wantErr: true, why: "who may miss it says so itself"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Of(later, tc.err)
			if got != tc.want || (err != nil) != tc.wantErr {
				t.Errorf("Of = %+v, %v; want %+v, error %v: %s", got, err, tc.want, tc.wantErr, tc.why)
			}
			if tc.wantErr && !errors.Is(err, tc.err) {
				t.Errorf("Of turned %v into %v", tc.err, err)
			}
		})
	}
}

// server holds one grant and counts what is sent to its status.
func server(t *testing.T) (c client.Client, sent *int) {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	sent = new(int)
	return fake.NewClientBuilder().WithScheme(scheme).
		WithObjects(&v1alpha1.PullAccessGrant{ObjectMeta: metav1.ObjectMeta{Name: "g"}}).
		WithStatusSubresource(&v1alpha1.PullAccessGrant{}).
		WithInterceptorFuncs(interceptor.Funcs{SubResourcePatch: func(ctx context.Context, inner client.Client, sub string, o client.Object, p client.Patch, options ...client.SubResourcePatchOption) error {
			*sent++
			return inner.SubResource(sub).Patch(ctx, o, p, options...)
		}}).Build(), sent
}

func read(t *testing.T, c client.Client) *v1alpha1.PullAccessGrant {
	t.Helper()
	g := &v1alpha1.PullAccessGrant{}
	if err := c.Get(t.Context(), client.ObjectKey{Name: "g"}, g); err != nil {
		t.Fatal(err)
	}
	return g
}

func TestConfirmStatusAsksAlways(t *testing.T) {
	c, sent := server(t)
	old := read(t, c)
	if err := ConfirmStatus(t.Context(), c, old.DeepCopy(), old.DeepCopy()); err != nil || *sent != 1 {
		t.Errorf("without a difference %d patches were sent (%v), want one that asks", *sent, err)
	}
	old = read(t, c)
	changed := old.DeepCopy()
	changed.Status.Origin = v1alpha1.OriginFound
	if err := PatchStatus(t.Context(), c, old.DeepCopy(), changed); err != nil {
		t.Fatal(err)
	}
	if err := ConfirmStatus(t.Context(), c, old.DeepCopy(), old.DeepCopy()); !apierrors.IsConflict(err) {
		t.Errorf("what is on record no more was confirmed: %v", err)
	}
}

func TestPatchStatusSendsOnlyDifferences(t *testing.T) {
	c, sent := server(t)
	g := read(t, c)
	if err := PatchStatus(t.Context(), c, g.DeepCopy(), g); err != nil || *sent != 0 {
		t.Errorf("without a difference %d patches were sent (%v)", *sent, err)
	}
	before := g.DeepCopy()
	g.Status.Origin = v1alpha1.OriginFound
	if err := PatchStatus(t.Context(), c, before, g); err != nil || *sent != 1 {
		t.Fatalf("with a difference %d patches were sent (%v)", *sent, err)
	}
	if stored := read(t, c); stored.Status.Origin != v1alpha1.OriginFound || g.ResourceVersion != stored.ResourceVersion {
		t.Errorf("stored origin %q at version %s; after has version %s", stored.Status.Origin, stored.ResourceVersion, g.ResourceVersion)
	}
}

func TestPatchStatusKeepsWhatOthersWrote(t *testing.T) {
	c, _ := server(t)
	mine, theirs := read(t, c), read(t, c)
	before := theirs.DeepCopy()
	theirs.Status.RecoveredWorkloads = 3
	if err := PatchStatus(t.Context(), c, before, theirs); err != nil {
		t.Fatal(err)
	}
	before = mine.DeepCopy()
	mine.Status.RecoveredWorkloads = 1
	if err := PatchStatus(t.Context(), c, before, mine); !apierrors.IsConflict(err) {
		t.Errorf("PatchStatus on an older version: %v, want a conflict", err)
	}
	if got := read(t, c).Status.RecoveredWorkloads; got != 3 {
		t.Errorf("recoveredWorkloads = %d: the older write won", got)
	}
}
