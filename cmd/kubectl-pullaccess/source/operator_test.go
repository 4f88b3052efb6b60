// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// aReport is an Event of the operator.
func aReport(pod, reason string, after time.Duration, edits ...func(*corev1.Event)) *corev1.Event {
	e := anEvent(pod, reason, "Because.", after)
	e.ReportingController = operator
	for _, edit := range edits {
		edit(e)
	}
	return e
}

func TestReported(t *testing.T) {
	early, late := aReport("web", "Early", time.Minute), aReport("web", "Late", time.Hour)
	repeated := aReport("web", "Repeated", time.Second, func(e *corev1.Event) {
		e.Series = &corev1.EventSeries{LastObservedTime: metav1.NewMicroTime(began.Add(2 * time.Hour))}
	})
	tests := map[string]struct {
		events []*corev1.Event
		want   string
		why    string
	}{
		"none":               {nil, "", ""},
		"the latest":         {[]*corev1.Event{late, early}, "Late", ""},
		"one of a series":    {[]*corev1.Event{late, repeated}, "Repeated", "it was seen last"},
		"of somebody else":   {[]*corev1.Event{aReport("web", "X", 0, func(e *corev1.Event) { e.ReportingController = "kubelet" })}, "", "it is not the operator's"},
		"of an earlier pod":  {[]*corev1.Event{aReport("web", "X", 0, func(e *corev1.Event) { e.InvolvedObject.UID = "before" })}, "", ""},
		"of another object":  {[]*corev1.Event{aReport("web", "X", 0, func(e *corev1.Event) { e.InvolvedObject.Kind = "Deployment" })}, "", ""},
		"another container":  {[]*corev1.Event{aReport("web", "X", 0, func(e *corev1.Event) { e.InvolvedObject.FieldPath = "spec.containers{b}" })}, "", ""},
		"of another pod":     {[]*corev1.Event{aReport("api", "X", 0)}, "", ""},
		"of the pod sandbox": {[]*corev1.Event{aReport("web", "X", 0, func(e *corev1.Event) { e.InvolvedObject.FieldPath = "" })}, "", "it is about no container"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var s Snapshot
			for _, e := range tc.events {
				s.addReport(e)
			}
			got := ""
			if e := s.Reported(aPod("web", corev1.PodPending, notFound), "app"); e != nil {
				got = e.Reason
			}
			if got != tc.want {
				t.Errorf("the operator reported %q, want %q (%s)", got, tc.want, tc.why)
			}
		})
	}
}

// TestLiveReports: the operator's Events are listed once, and a cluster that denies it is no error.
func TestLiveReports(t *testing.T) {
	web := aPod("web", corev1.PodPending, notFound)
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "events"}, "", errors.New("no"))
	for name, tc := range map[string]struct {
		request Request
		refuse  map[string]error
		want    bool
	}{
		"all pods":     {Request{Namespace: "shop"}, nil, true},
		"one pod":      {Request{Namespace: "shop", Target: Target{Kind: podKind, Name: "web"}}, nil, true},
		"not allowed":  {Request{Namespace: "shop"}, map[string]error{"list events " + operator: forbidden}, false},
		"no workloads": {Request{Namespace: "pay"}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			server := &apiServer{t: t, refuse: tc.refuse, objects: []client.Object{web, aReport("web", "NoPolicy", time.Minute)}}
			got, err := Live(t.Context(), server, tc.request)
			if err != nil || len(got.Notes) > 0 {
				t.Fatalf("%v, notes %v", err, got.Notes)
			}
			if reported := got.Reported(web, "app"); (reported != nil) != tc.want {
				t.Errorf("the operator reported %v, want %v", reported, tc.want)
			}
		})
	}
}

// TestFileReports: both APIs have the operator's Events, and a file lists its grants.
func TestFileReports(t *testing.T) {
	web := aPod("web", corev1.PodPending, notFound)
	web.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
	old := aReport("web", "Old", time.Minute)
	old.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Event"}
	newer := &eventsv1.Event{
		TypeMeta: metav1.TypeMeta{APIVersion: "events.k8s.io/v1", Kind: "Event"}, Regarding: old.InvolvedObject, Reason: "New",
		EventTime: metav1.NewMicroTime(began.Add(time.Hour)), ReportingController: operator,
	}
	grant := &v1alpha1.PullAccessGrant{TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "PullAccessGrant"}, ObjectMeta: metav1.ObjectMeta{Name: "g"}}
	var text strings.Builder
	for _, object := range []any{web, old, newer, grant} {
		if err := json.NewEncoder(&text).Encode(object); err != nil {
			t.Fatal(err)
		}
	}
	snapshot, store, err := Files([]string{"-"}, strings.NewReader(text.String()), Request{})
	if err != nil {
		t.Fatal(err)
	}
	if e := snapshot.Reported(web, "app"); e == nil || e.Reason != "New" {
		t.Errorf("the operator reported %v", e)
	}
	var grants v1alpha1.PullAccessGrantList
	if err := store.List(t.Context(), &grants); err != nil || len(grants.Items) != 1 || grants.Items[0].Name != "g" {
		t.Errorf("the file lists %v, %v", grants.Items, err)
	}
	if err := store.List(t.Context(), &v1alpha1.PullAccessPolicyList{}); !apierrors.IsForbidden(err) {
		t.Errorf("of policies, which it does not show, it says %v", err)
	}
}
