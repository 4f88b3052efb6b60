// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package outcome

import (
	"errors"
	"fmt"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
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

// newEnv returns an environment with the grant "g".
func newEnv(t *testing.T) *controllertest.Env {
	t.Helper()
	return controllertest.New(t, &v1alpha1.PullAccessGrant{ObjectMeta: metav1.ObjectMeta{Name: "g"}})
}

// sent counts what was sent to a status.
func sent(e *controllertest.Env) int { return e.Writes()["patch status"] }

func TestConfirmStatusAsksAlways(t *testing.T) {
	e := newEnv(t)
	old := e.Grant("g")
	if err := ConfirmStatus(t.Context(), e.Client, old.DeepCopy(), old.DeepCopy()); err != nil || sent(e) != 1 {
		t.Errorf("without a difference %d patches were sent (%v), want one that asks", sent(e), err)
	}
	old = e.Grant("g")
	changed := old.DeepCopy()
	changed.Status.Origin = v1alpha1.OriginFound
	if err := PatchStatus(t.Context(), e.Client, old.DeepCopy(), changed); err != nil {
		t.Fatal(err)
	}
	if err := ConfirmStatus(t.Context(), e.Client, old.DeepCopy(), old.DeepCopy()); !apierrors.IsConflict(err) {
		t.Errorf("what is on record no more was confirmed: %v", err)
	}
}

func TestPatchStatusSendsOnlyDifferences(t *testing.T) {
	e := newEnv(t)
	g := e.Grant("g")
	if err := PatchStatus(t.Context(), e.Client, g.DeepCopy(), g); err != nil || sent(e) != 0 {
		t.Errorf("without a difference %d patches were sent (%v)", sent(e), err)
	}
	before := g.DeepCopy()
	g.Status.Origin = v1alpha1.OriginFound
	if err := PatchStatus(t.Context(), e.Client, before, g); err != nil || sent(e) != 1 {
		t.Fatalf("with a difference %d patches were sent (%v)", sent(e), err)
	}
	if stored := e.Grant("g"); stored.Status.Origin != v1alpha1.OriginFound || g.ResourceVersion != stored.ResourceVersion {
		t.Errorf("stored origin %q at version %s; after has version %s", stored.Status.Origin, stored.ResourceVersion, g.ResourceVersion)
	}
}

func TestPatchStatusKeepsWhatOthersWrote(t *testing.T) {
	e := newEnv(t)
	mine, theirs := e.Grant("g"), e.Grant("g")
	before := theirs.DeepCopy()
	theirs.Status.RecoveredWorkloads = 3
	if err := PatchStatus(t.Context(), e.Client, before, theirs); err != nil {
		t.Fatal(err)
	}
	before = mine.DeepCopy()
	mine.Status.RecoveredWorkloads = 1
	if err := PatchStatus(t.Context(), e.Client, before, mine); !apierrors.IsConflict(err) {
		t.Errorf("PatchStatus on an older version: %v, want a conflict", err)
	}
	if got := e.Grant("g").Status.RecoveredWorkloads; got != 3 {
		t.Errorf("recoveredWorkloads = %d: the older write won", got)
	}
}
