// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// googleError is an error of Google's as internal/gcp returns it.
type googleError struct {
	obstacle diagnosis.Obstacle
	lacks    bool
}

func (e googleError) Error() string                { return e.obstacle.Detail }
func (e googleError) Detail() string               { return e.obstacle.Detail }
func (e googleError) Unwrap() error                { return iampolicy.ErrForbidden }
func (e googleError) LacksPermission() bool        { return e.lacks }
func (e googleError) Obstacle() diagnosis.Obstacle { return e.obstacle }

// TestForbiddenSaysWhatToAllow checks that the sentence asks for permissions only if Google reports a
// missing one.
func TestForbiddenSaysWhatToAllow(t *testing.T) {
	const permissions = "artifactregistry.repositories.getIamPolicy and .setIamPolicy"
	repository := imageref.Repository{Project: "acme-prod", Location: "us-central1", Name: "services"}
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"nothing known": {err: iampolicy.ErrForbidden, want: permissions},
		"permission":    {err: googleError{diagnosis.Obstacle{Kind: diagnosis.Forbidden, Detail: "no"}, true}, want: permissions},
		"another reason": {
			err: googleError{diagnosis.Obstacle{Kind: diagnosis.Forbidden, Detail: "not today"}, false}, want: "cannot be read or changed: not today.",
		},
		"quota project": {
			err:  googleError{diagnosis.Obstacle{Kind: diagnosis.QuotaProjectDenied, Detail: "no", Consumer: "acme-home"}, false},
			want: "next step: gcloud projects add-iam-policy-binding acme-home ",
		},
		"API": {
			err:  googleError{diagnosis.Obstacle{Kind: diagnosis.APIOff, Detail: "off", Consumer: "9", Service: "artifactregistry.googleapis.com"}, false},
			want: "next step: gcloud services enable artifactregistry.googleapis.com --project=9.",
		},
		"perimeter": {err: googleError{diagnosis.Obstacle{Kind: diagnosis.Perimeter, Detail: "out", Identifier: "ID-1"}, false}, want: "VPC Service Controls: ID-1."},
	} {
		got := describe(fmt.Errorf("edit: %w", tc.err), repository)
		if got.reason != v1alpha1.ReasonCloudForbidden || !strings.Contains(got.sentence, tc.want) ||
			strings.Contains(got.sentence, permissions) != (tc.want == permissions) {
			t.Errorf("%s: %s, %q", name, got.reason, got.sentence)
		}
	}
}

// TestAnotherIdentifierIsNoNews checks that a new identifier alone is not reported: each
// denial by VPC Service Controls has a new one.
func TestAnotherIdentifierIsNoNews(t *testing.T) {
	e := newEnv(t, readers(foreign, nodes), enforcing(), granted(nodes, v1alpha1.OriginAdded))
	e.Delete(e.grant(nodes))
	told := 0
	for _, identifier := range []string{"ID-1", "ID-2"} {
		e.nextEdits(googleError{obstacle: diagnosis.Obstacle{Kind: diagnosis.Perimeter, Detail: "out", Identifier: identifier}})
		e.mustPass()
		ready := meta.FindStatusCondition(e.grant(nodes).Status.Conditions, v1alpha1.ConditionReady)
		if ready == nil || !strings.Contains(ready.Message, identifier) {
			t.Errorf("%s is not in %+v", identifier, ready)
		}
		if told == 0 {
			told = len(e.Recorder.Events())
		}
	}
	if told == 0 || len(e.Recorder.Events()) != told {
		t.Errorf("%d events after the first refusal, %d after the second", told, len(e.Recorder.Events()))
	}
}
