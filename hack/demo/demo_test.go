// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// newTestPrinter prints to a buffer, at 12.3 seconds after the start.
func newTestPrinter() (*printer, *strings.Builder) {
	start := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	out := &strings.Builder{}
	return &printer{out: out, clock: clocktesting.NewFakePassiveClock(start.Add(12300 * time.Millisecond)), start: start}, out
}

func TestPrinter(t *testing.T) {
	for name, tc := range map[string]struct {
		print func(*printer)
		want  string
	}{
		"a step":            {func(p *printer) { p.step("Starting %s", "it") }, "[  12.3s] Starting it\n"},
		"a note is set in":  {func(p *printer) { p.note("100%% %s", "done") }, "[  12.3s]   100% done\n"},
		"what is too long":  {func(p *printer) { p.note("%s", strings.Repeat("word ", 30)) }, "[  12.3s]   " + strings.TrimRight(strings.Repeat("word ", 21), " ") + "\n" + strings.Repeat(" ", 14) + strings.TrimRight(strings.Repeat("word ", 9), " ") + "\n"},
		"a block":           {func(p *printer) { p.block("\n+ a\n\n  b  \n") }, "    + a\n    \n      b\n"},
		"an empty block":    {func(p *printer) { p.block("") }, ""},
		"a failure":         {func(p *printer) { p.fail(errors.New("no node")) }, "[  12.3s] The demo failed: no node.\n"},
		"and its log":       {func(p *printer) { p.fail(errors.New("etcd ended; its log ends with:\na\nb")) }, "[  12.3s] The demo failed: etcd ended; its log ends with.\n    a\n    b\n"},
		"colour, if wanted": {func(p *printer) { p.coloured = true; p.good("up") }, "\x1b[2m[  12.3s] \x1b[0m\x1b[32m  up\x1b[0m\n"},
	} {
		t.Run(name, func(t *testing.T) {
			p, out := newTestPrinter()
			tc.print(p)
			if d := cmp.Diff(tc.want, out.String()); d != "" {
				t.Errorf("printed (-want +got):\n%s", d)
			}
		})
	}
}

func TestCut(t *testing.T) {
	for name, tc := range map[string]struct{ got, want string }{
		"short stays":            {cut("403 Forbidden", 13), "403 Forbidden"},
		"the middle goes":        {cut("failed "+strings.Repeat("x", 99)+" 403", 20), "failed ... xxxxx 403"},
		"a short head stays":     {head("abc \n", 3), "abc"},
		"a long line loses most": {head("abcdefgh", 6), "abc..."},
		"no half letters":        {head("ääää", 6), "ä..."},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: got %q, want %q", name, tc.got, tc.want)
		}
	}
}

func TestDiff(t *testing.T) {
	got := diff(access{"reader a", "writer b"}, access{"reader a", "reader c"})
	if want := "  reader a\n+ reader c\n- writer b\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestCause(t *testing.T) {
	interrupted, cancel := context.WithCancelCause(t.Context())
	cancel(errOrphaned)
	late, stop := context.WithTimeoutCause(t.Context(), 0, errTooLong)
	defer stop()
	waiting := fmt.Errorf("waiting for a node: %w", errTooLong)
	failed := errors.New("no node")
	for name, tc := range map[string]struct{ got, want error }{
		"success stays":               {cause(interrupted, nil), nil},
		"an error in time stays":      {cause(t.Context(), failed), failed},
		"an interruption explains":    {cause(interrupted, failed), errOrphaned},
		"too long, and for what":      {cause(late, waiting), waiting},
		"too long, elsewhere noticed": {cause(late, failed), errTooLong},
	} {
		if !errors.Is(tc.got, tc.want) || (tc.got == nil) != (tc.want == nil) {
			t.Errorf("%s: got %v, want %v", name, tc.got, tc.want)
		}
	}
}

// pullError is a pod of the shop that cannot pull.
func pullError(reason, message string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: shopNamespace, Name: "checkout-1"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: goodImage}}},
		Status: corev1.PodStatus{
			Phase: corev1.PodPending,
			ContainerStatuses: []corev1.ContainerStatus{{
				Name: "app", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
			}},
		},
	}
}

func TestWorldShowsEachThingOnce(t *testing.T) {
	p, out := newTestPrinter()
	w := newWorld(p)
	event := &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: "e1", Namespace: shopNamespace}, Reason: "AccessRequested", Note: "So be it.",
		ReportingController: operatorName, Regarding: corev1.ObjectReference{Kind: "Pod", Name: "checkout-1"},
	}
	again := event.DeepCopy()
	again.Name, again.Regarding.Name = "e2", "checkout-2"
	foreign := event.DeepCopy()
	foreign.ReportingController = "kubelet"
	grant := &v1alpha1.PullAccessGrant{
		ObjectMeta: metav1.ObjectMeta{Name: "g"},
		Status: v1alpha1.PullAccessGrantStatus{Conditions: []metav1.Condition{
			{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: "Granting", Message: "Being added."},
			{Type: v1alpha1.ConditionGranted, Status: metav1.ConditionFalse, Reason: "Granting", Message: "Being added."},
		}},
	}
	recovered := grant.DeepCopy()
	recovered.Status.Conditions[0] = metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Recovered", Message: "Up."}
	for range 2 {
		w.take(pullError("ErrImagePull", "403"))
		w.take(pullError("ImagePullBackOff", "Back-off: ErrImagePull: 403"))
		w.take(event)
		w.take(again)
		w.take(foreign)
		w.take(grant)
	}
	w.take(recovered)
	want := []string{
		"pod checkout-1: ErrImagePull: 403",
		"pod checkout-1: ImagePullBackOff: Back-off: ErrImagePull: (the same text)",
		"event AccessRequested on Pod checkout-1: So be it.",
		"event AccessRequested on Pod checkout-2: the same",
		"grant g: Granted=False (Granting) Being added.",
		"grant g: Ready=True (Recovered) Up.",
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		got = append(got, strings.TrimSpace(strings.TrimPrefix(line, "[  12.3s]")))
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("shown (-want +got):\n%s", d)
	}
	if !w.said("AccessRequested", "Pod", "checkout-") || w.said("AccessRequested", "Pod", "ledger-") {
		t.Error("said does not tell what was said about whom")
	}
}

// TestManifests holds the manifests to the names that the story knows.
func TestManifests(t *testing.T) {
	var policy v1alpha1.PullAccessPolicy
	decode(t, policyManifest, &policy)
	wantRepositories := []v1alpha1.RepositoryPattern{{Project: imageProject, Location: location, Name: "services"}}
	if d := cmp.Diff(wantRepositories, policy.Spec.Repositories); policy.Name != policyName || d != "" {
		t.Errorf("policy %s opens (-want +got):\n%s", policy.Name, d)
	}
	if !slices.Equal(policy.Spec.NodeServiceAccounts, []string{nodeAccount}) {
		t.Errorf("the policy names accounts %v, want %s", policy.Spec.NodeServiceAccounts, nodeAccount)
	}
	if delay := policy.Spec.Restart.Delay; delay == nil || delay.Duration <= propagation {
		t.Errorf("restart.delay is %v: it must exceed the propagation, %s, or the restart comes to nothing", delay, propagation)
	}
	var namespace corev1.Namespace
	var checkout, typo, ledger appsv1.Deployment
	decode(t, healedManifest, &namespace, &checkout)
	decode(t, refusedManifest, &typo, &ledger)
	if namespace.Name != shopNamespace {
		t.Errorf("namespace %s, want %s", namespace.Name, shopNamespace)
	}
	for _, tc := range []struct {
		d           appsv1.Deployment
		name, image string
	}{
		{checkout, healed, goodImage},
		{typo, mistyped, imageHost + "/services/checkout:1.4.22"},
		{ledger, fenced, fencedImage},
	} {
		image := tc.d.Spec.Template.Spec.Containers[0].Image
		if tc.d.Namespace != shopNamespace || tc.d.Name != tc.name || image != tc.image {
			t.Errorf("Deployment %s/%s of %s, want %s/%s of %s", tc.d.Namespace, tc.d.Name, image, shopNamespace, tc.name, tc.image)
		}
	}
}

// decode reads the documents of a manifest, refusing fields that their kinds do not have.
func decode(t *testing.T, manifest string, into ...any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", manifest))
	if err != nil {
		t.Fatal(err)
	}
	documents := strings.Split(string(data), "\n---\n")
	if len(documents) != len(into) {
		t.Fatalf("%s has %d documents, want %d", manifest, len(documents), len(into))
	}
	for i, document := range documents {
		if err := utilyaml.UnmarshalStrict([]byte(document), into[i]); err != nil {
			t.Fatalf("%s: %v", manifest, err)
		}
	}
}

// TestCloud: the emulated cloud begins with others' access, and only the
// operator's writes count as such.
func TestCloud(t *testing.T) {
	cloud, err := startCloud(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cloud.Close(); err != nil {
			t.Error(err)
		}
	})
	want := access{
		readerRole + "  serviceAccount:scanner@acme-images-306.iam.gserviceaccount.com",
		"roles/artifactregistry.writer  serviceAccount:ci@acme-images-306.iam.gserviceaccount.com",
	}
	if d := cmp.Diff(want, accessOf(cloud, "services")); d != "" {
		t.Errorf("repository services (-want +got):\n%s", d)
	}
	if made := writes(cloud); len(made) != 0 {
		t.Errorf("writes %v, want none: nobody gave a reason yet", made)
	}
	err = setPolicy(t.Context(), cloud, "none", othersBindings)
	if err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a missing repository: got %v, want its 404", err)
	}
}
