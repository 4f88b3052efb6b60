// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/exit"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

var began = time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC)

// The states of a container that cannot pull, is being made, runs, and has run.
var (
	notFound = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: `failed to pull image "nginx:1": not found`}}
	creating = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}}
	running  = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(began)}}
	ended    = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{StartedAt: metav1.NewTime(began)}}
)

func aPod(name string, phase corev1.PodPhase, state corev1.ContainerState) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID("uid-" + name), Labels: map[string]string{"app": name}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "nginx:1"}}},
		Status:     corev1.PodStatus{Phase: phase, ContainerStatuses: []corev1.ContainerStatus{{Name: "app", State: state}}},
	}
}

// sandboxReason is that of the kubelet's events about a pod's sandbox.
const sandboxReason = "FailedCreatePodSandBox"

const pullText = `Failed to pull image "nginx:1": not found`

// anEvent happened so long after the containers began to run.
func anEvent(pod, reason, message string, after time.Duration) *corev1.Event {
	at := metav1.NewTime(began.Add(after))
	e := &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprintf("%s.%s.%d", pod, reason, after)},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: "shop", Name: pod, UID: types.UID("uid-" + pod), FieldPath: "spec.containers{app}"},
		Reason:         reason, Message: message, Type: corev1.EventTypeWarning, FirstTimestamp: at, LastTimestamp: at,
	}
	if reason == sandboxReason {
		e.InvolvedObject.FieldPath = ""
	}
	return e
}

func namesOf(s Snapshot) []string {
	var names []string
	for _, p := range s.Pods {
		names = append(names, p.Name)
	}
	return names
}

// TestLiveFinds every kind of failing pod, and no other.
func TestLiveFinds(t *testing.T) {
	const sandboxText = `Failed to create pod sandbox: failed to get sandbox image "pause:1": failed to pull image "pause:1": dial tcp: i/o timeout`
	s := &apiServer{t: t}
	s.objects = append(
		s.objects,
		aPod("z-pending", corev1.PodPending, notFound),
		aPod("unschedulable", corev1.PodPending, corev1.ContainerState{}),
		aPod("healthy", corev1.PodRunning, running),
		aPod("repull", corev1.PodRunning, ended), anEvent("repull", "Failed", pullText, time.Minute),
		aPod("recovered", corev1.PodRunning, running), anEvent("recovered", "Failed", pullText, -time.Minute),
		aPod("pulled", corev1.PodRunning, ended), anEvent("pulled", "Failed", pullText, time.Minute),
		anEvent("pulled", "Pulled", `Successfully pulled image "nginx:1" in 1s`, 2*time.Minute),
		aPod("crashing", corev1.PodRunning, ended), anEvent("crashing", "Failed", "Error: failed to start container", time.Minute),
		anEvent("gone", "Failed", pullText, time.Minute),
		aPod("sandbox", corev1.PodPending, creating), anEvent("sandbox", sandboxReason, sandboxText, time.Minute),
		aPod("sandbox-made", corev1.PodPending, creating), anEvent("sandbox-made", sandboxReason, sandboxText, time.Minute),
		anEvent("sandbox-made", "Pulling", `Pulling image "nginx:1"`, 2*time.Minute),
		aPod("both", corev1.PodPending, notFound), anEvent("both", sandboxReason, sandboxText, time.Minute),
		anEvent("both", "Pulling", `Pulling image "nginx:1"`, 2*time.Minute),
	)
	got, err := Live(t.Context(), s, Request{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"both", "repull", "sandbox", "z-pending"}, namesOf(got)); diff != "" {
		t.Errorf("pods (-want +got):\n%s", diff)
	}
	if failures := pullfailure.FromEvents(got.Pods[0], got.Events[client.ObjectKeyFromObject(got.Pods[0])]); len(failures) != 1 || failures[0].Role != pullfailure.Container {
		t.Errorf("of a pod whose sandbox was made since, it knows %+v", failures)
	}
	if len(got.Notes) > 0 {
		t.Errorf("it notes %v", got.Notes)
	}
	for _, r := range s.requests {
		if strings.HasPrefix(r, "list pods") && !strings.Contains(r, "status.phase=Pending") {
			t.Errorf("healthy pods are listed: %s", r)
		}
	}
	if n := s.asked("get *v1.Pod"); n != 4 {
		t.Errorf("%d pods were read one by one, want the 4 that events name and the list had not, of which one is gone: %v", n, s.requests)
	}
}

// TestLiveReadsPages: all pages are read, also when a token expires, and nothing is told twice.
func TestLiveReadsPages(t *testing.T) {
	for _, expire := range []bool{false, true} {
		s := &apiServer{t: t, page: 2, expire: expire}
		for i := range 7 {
			s.objects = append(s.objects, aPod(fmt.Sprintf("web-%d", i), corev1.PodPending, notFound))
		}
		got, err := Live(t.Context(), s, Request{Namespace: "shop"})
		if err != nil {
			t.Fatal(err)
		}
		if names := namesOf(got); len(names) != 7 || !slices.IsSorted(names) {
			t.Errorf("with an expired token: %v, it finds %v", expire, names)
		}
		if n := s.asked("list pods"); n < 3 {
			t.Errorf("it asks %d times, want a page at a time", n)
		}
	}
}

func TestLiveNarrows(t *testing.T) {
	deployment := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"},
		Spec:       appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}},
	}
	web := aPod("web", corev1.PodPending, notFound)
	repull := aPod("web-repull", corev1.PodRunning, notFound)
	repull.Labels = map[string]string{"app": "web"}
	other := aPod("other", corev1.PodPending, notFound)
	otherRepull := aPod("other-repull", corev1.PodRunning, ended)
	objects := func(t *testing.T) *apiServer {
		t.Helper()
		s := &apiServer{t: t}
		s.objects = append(s.objects, deployment, web, repull, other, otherRepull, anEvent("other-repull", "Failed", pullText, time.Minute))
		return s
	}
	tests := map[string]struct {
		request Request
		want    []string
		why     string
	}{
		"pod":        {Request{Namespace: "shop", Target: Target{"Pod", "other"}}, []string{"other"}, ""},
		"deployment": {Request{Namespace: "shop", Target: Target{"Deployment", "web"}}, []string{"web", "web-repull"}, "its running pods are few"},
		"selector":   {Request{Selector: labels.SelectorFromSet(labels.Set{"app": "other"})}, []string{"other"}, "of the pods that events name as well"},
		"namespace":  {Request{Namespace: "pay"}, nil, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Live(t.Context(), objects(t), tc.request)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, namesOf(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.why, diff)
			}
		})
	}
}

func TestLiveFails(t *testing.T) {
	down := errors.New("connection refused")
	asked := &url.Error{Op: "Get", URL: "https://192.0.2.1:6443/api/v1/pods?limit=500", Err: down}
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "things"}, "", errors.New("no"))
	const usage, unreachable = exit.Usage, exit.Unreachable
	tests := map[string]struct {
		refuse  string
		err     error
		request Request
		code    int
		says    string
	}{
		"pods":              {"list pods", forbidden, Request{}, unreachable, "things is forbidden"},
		"pods, no answer":   {"list pods", down, Request{}, unreachable, "the cluster gives no answer: connection refused"},
		"events, no answer": {"list events", down, Request{}, unreachable, "the cluster gives no answer: connection refused"},
		"pod's, no answer":  {"list events", down, Request{Namespace: "shop", Target: Target{"Pod", "web"}}, unreachable, "the cluster gives no answer"},
		"pod":               {"get", forbidden, Request{Target: Target{"Pod", "web"}}, unreachable, "things is forbidden"},
		"no pod":            {"", nil, Request{Target: Target{"Pod", "none"}}, usage, "not found"},
		"no workload":       {"", nil, Request{Target: Target{"Deployment", "none"}}, usage, "not found"},
		"workload":          {"get", forbidden, Request{Target: Target{"Deployment", "web"}}, unreachable, "things is forbidden"},
		"pods of events":    {"get", down, Request{}, unreachable, "the cluster gives no answer: connection refused"},
		"later events":      {"list events repull", down, Request{}, unreachable, "the cluster gives no answer: connection refused"},
		"a URL":             {"list pods", asked, Request{}, unreachable, "the cluster gives no answer: https://192.0.2.1:6443: connection refused"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := &apiServer{t: t, refuse: map[string]error{tc.refuse: tc.err}}
			s.objects = append(s.objects, aPod("web", corev1.PodPending, notFound), aPod("repull", corev1.PodRunning, ended), anEvent("repull", "Failed", pullText, time.Minute))
			got, err := Live(t.Context(), s, tc.request)
			if code := exit.Code(err); code != tc.code || len(got.Pods) > 0 {
				t.Errorf("exit code %d (%v), want %d; pods %v", code, err, tc.code, namesOf(got))
			}
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("it says %v, want it to say %q", err, tc.says)
			}
		})
	}
}

// TestLiveNotes: what the cluster refuses to show takes nothing from what it does
// show, and each refusal is told with what is uncertain for it.
func TestLiveNotes(t *testing.T) {
	refuse := apierrors.NewForbidden(schema.GroupResource{Resource: "things"}, "", errors.New("not for you"))
	tests := map[string]struct {
		refuse []string
		target Target
		want   []string
		// note is how the only note begins.
		note string
		why  string
	}{
		"events":             {[]string{"list events"}, Target{}, []string{"web"}, "Events of reason Failed, InspectFailed, ErrImageNeverPull, FailedCreatePodSandBox were not read, so a pod that runs", ""},
		"events of a pod":    {[]string{"list events"}, Target{"Pod", "web"}, []string{"web"}, "The events of the pod were not read, so only its own state is known (shop/web): ", ""},
		"events of a reason": {[]string{"list events InspectFailed"}, Target{}, []string{"repull", "second", "web"}, "Events of reason InspectFailed were not read, so ", "the other reasons are read all the same"},
		"pods one by one":    {[]string{"get"}, Target{}, []string{"web"}, "Events tell of pods that were not read, so whether they still cannot pull is not known (shop/recovered, shop/repull, shop/second): ", "to list pods is one right, to get them another"},
		"one pod":            {[]string{"get repull"}, Target{}, []string{"second", "web"}, "Events tell of pods that were not read, so whether they still cannot pull is not known (shop/repull): ", "the other one is read"},
		"later events":       {[]string{"list events repull"}, Target{}, []string{"repull", "second", "web"}, "The later events of pods were not read, so they may be able to pull by now (shop/repull): ", "the pod is told of, and another's recovery is seen"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := &apiServer{t: t, refuse: map[string]error{}}
			for _, what := range tc.refuse {
				s.refuse[what] = refuse
			}
			s.objects = append(
				s.objects,
				aPod("web", corev1.PodPending, notFound),
				aPod("repull", corev1.PodRunning, ended), anEvent("repull", "Failed", pullText, time.Minute),
				aPod("second", corev1.PodRunning, ended), anEvent("second", "Failed", pullText, time.Minute),
				aPod("recovered", corev1.PodRunning, ended), anEvent("recovered", "Failed", pullText, time.Minute),
				anEvent("recovered", "Pulled", `Successfully pulled image "nginx:1" in 1s`, 2*time.Minute),
			)
			got, err := Live(t.Context(), s, Request{Namespace: "shop", Target: tc.target})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, namesOf(got)); diff != "" {
				t.Errorf("pods (-want +got):\n%s%s", diff, tc.why)
			}
			if len(got.Notes) != 1 || !strings.HasPrefix(got.Notes[0], tc.note) || !strings.HasSuffix(got.Notes[0], "not for you") {
				t.Errorf("it notes %q, want one that begins with %q (%s)", got.Notes, tc.note, tc.why)
			}
		})
	}
}

// TestNoteNamesSome: a note of many pods stays one line.
func TestNoteNamesSome(t *testing.T) {
	var l live
	var unread unreadPods
	for i := range 7 {
		if err := unread.unlessAnswered(types.NamespacedName{Namespace: "shop", Name: fmt.Sprintf("web-%d", 6-i)}, apierrors.NewInternalError(errors.New("later"))); err != nil {
			t.Fatal(err)
		}
	}
	l.note("Not known", &unread)
	if want := []string{"Not known (shop/web-0, shop/web-1, shop/web-2, shop/web-3, shop/web-4 and 2 more): Internal error occurred: later"}; !slices.Equal(l.Notes, want) {
		t.Errorf("it notes %q, want %q", l.Notes, want)
	}
}
