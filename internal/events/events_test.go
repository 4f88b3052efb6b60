// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package events

import (
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/explanation"
)

type event struct {
	about, related                  runtime.Object
	eventType, reason, action, note string
}

// fakeRecorder keeps what it was given.
type fakeRecorder []event

func (r *fakeRecorder) Eventf(about, related runtime.Object, eventType, reason, action, note string, args ...any) {
	*r = append(*r, event{about, related, eventType, reason, action, fmt.Sprintf(note, args...)})
}

var (
	pod    = &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-1"}}
	policy = &v1alpha1.PullAccessPolicy{ObjectMeta: metav1.ObjectMeta{Name: "prod"}}
	stuck  = v1alpha1.Workload{Kind: "Deployment", Namespace: "shop", Name: "web"}
	grant  = &v1alpha1.PullAccessGrant{
		ObjectMeta: metav1.ObjectMeta{Name: "services.gke-nodes.0123456789abcdef"},
		Spec: v1alpha1.PullAccessGrantSpec{
			Repository: v1alpha1.Repository{Project: "acme-prod", Location: "us-central1", Name: "services"},
			Member:     "serviceAccount:gke-nodes@acme-prod.iam.gserviceaccount.com",
			Policy:     "prod", Workload: stuck,
		},
	}
)

func TestCatalogue(t *testing.T) {
	const given = "A sentence of somebody else's."
	warning, normal := corev1.EventTypeWarning, corev1.EventTypeNormal
	tests := map[string]struct {
		say       func(Recorder)
		eventType string
		reason    string
		names     []string
	}{
		"Explained denial": {
			func(r Recorder) {
				Explained(r, pod, "app", nil, explanation.Explanation{Reason: "NoPolicy", Sentence: given})
			}, warning, "NoPolicy", []string{given},
		},
		"Explained progress": {
			func(r Recorder) {
				Explained(r, pod, "app", grant, explanation.Explanation{Reason: "AccessRequested", Sentence: given})
			}, normal, "AccessRequested", []string{given},
		},
		"ApprovalAsked": {func(r Recorder) { ApprovalAsked(r, grant, policy, given) }, normal, "WaitingForApproval", []string{given}},
		"AccessKept":    {func(r Recorder) { AccessKept(r, grant, given) }, normal, "AccessKept", []string{given}},
		"AccessGranted": {func(r Recorder) { AccessGranted(r, pod, policy, grant) }, normal, "AccessGranted", nil},
		"AccessFound":   {func(r Recorder) { AccessFound(r, pod, policy, grant) }, normal, "AlreadyGranted", []string{"nothing was written"}},
		"GrantRefused":  {func(r Recorder) { GrantRefused(r, pod, policy, "Conflict", given) }, warning, "Conflict", []string{given}},
		"AccessRevoked": {func(r Recorder) { AccessRevoked(r, grant) }, normal, "AccessRevoked", nil},
		"Restarted":     {func(r Recorder) { Restarted(r, pod, policy, stuck, grant) }, normal, "Restarted", []string{"Deployment shop/web"}},
		"LeftToKubelet": {func(r Recorder) { LeftToKubelet(r, pod, policy, given) }, normal, "LeftToKubelet", []string{given}},
		"Recovered":     {func(r Recorder) { Recovered(r, pod, policy, stuck, grant) }, normal, "Recovered", []string{"Deployment shop/web"}},
		"Ineffective":   {func(r Recorder) { Ineffective(r, pod, policy, given) }, warning, "Ineffective", []string{given}},
		"PolicyTrouble": {func(r Recorder) { PolicyTrouble(r, policy, "CloudForbidden", given) }, warning, "CloudForbidden", []string{given}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var r fakeRecorder
			tc.say(&r)
			if len(r) != 1 {
				t.Fatalf("%d events, want 1", len(r))
			}
			e := r[0]
			if e.eventType != tc.eventType || e.reason != tc.reason || e.action == "" || e.about == nil {
				t.Errorf("the event is %s %s by %q, want %s %s", e.eventType, e.reason, e.action, tc.eventType, tc.reason)
			}
			if !unicode.IsUpper([]rune(e.note)[0]) || !strings.HasSuffix(e.note, ".") || strings.Contains(e.note, "%!") || strings.Contains(e.note, "serviceAccount:") {
				t.Errorf("note %q is not fit to be shown", e.note)
			}
			if tc.names == nil || tc.names[0] != given && name != "Recovered" {
				tc.names = append(tc.names, "acme-prod/us-central1/services", "gke-nodes@acme-prod.iam.gserviceaccount.com")
			}
			for _, part := range tc.names {
				if !strings.Contains(e.note, part) {
					t.Errorf("note %q does not name %q", e.note, part)
				}
			}
		})
	}
}

func TestExplainedNamesTheCommandThatFits(t *testing.T) {
	command := "gcloud artifacts repositories list"
	for name, tc := range map[string]struct {
		sentence string
		want     bool
		page     bool
	}{
		"short":                 {"Nothing is granted.", true, true},
		"just fits":             {strings.Repeat("x", maxNote-len(" Next: ")-len(command)), true, false},
		"would be cut":          {strings.Repeat("x", maxNote-len(" Next: ")-len(command)+1), false, true},
		"no room for any of it": {strings.Repeat("x", maxNote-len(" See ")-len(page)+1), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			var r fakeRecorder
			Explained(&r, pod, "app", nil, explanation.Explanation{Reason: "NoPolicy", Sentence: tc.sentence, NextStep: command, Page: page})
			want := tc.sentence
			if tc.want {
				want += " Next: " + command
			}
			if tc.page {
				want += " See " + page
			}
			if r[0].note != want || len(want) > maxNote {
				t.Errorf("the note is %q, want %q", r[0].note, want)
			}
		})
	}
}

// TestLongNoteIsCut: the API server refuses a longer one, and one that is no UTF-8.
func TestLongNoteIsCut(t *testing.T) {
	for _, shift := range []string{"", "x", "xx"} {
		var r fakeRecorder
		GrantRefused(&r, pod, nil, "Conflict", shift+strings.Repeat("é€", maxNote))
		note := r[0].note
		if len(note) > maxNote || len(note) < maxNote-8 || !utf8.ValidString(note) || !strings.HasSuffix(note, "…") {
			t.Errorf("after %q the note has %d bytes, valid %v, and ends %q", shift, len(note), utf8.ValidString(note), note[len(note)-8:])
		}
	}
	var r fakeRecorder
	whole := strings.Repeat("x", maxNote)
	GrantRefused(&r, pod, nil, "Conflict", whole)
	if r[0].note != whole {
		t.Error("a note that fits was cut")
	}
}

const page = "https://example.com/#x"

// TestNoteIsNoFormat: what comes from outside may hold a per cent sign.
func TestNoteIsNoFormat(t *testing.T) {
	var r fakeRecorder
	const sentence = "Image x%3Ay%d is missing."
	Explained(&r, pod, "app", nil, explanation.Explanation{Reason: "ImageNotFound", Sentence: sentence})
	if r[0].note != sentence {
		t.Errorf("note %q, want %q", r[0].note, sentence)
	}
}
