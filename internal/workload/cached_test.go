// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/utils/ptr"

	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

// much is the size of each field that the API server does not limit. A whole object has at
// most 1.5 MB.
const much = 1 << 20

// hostile makes a pod in every way that a user, a node or a registry has. Each call makes
// new strings, as a decoder does.
var hostile = map[string]func(*corev1.Pod){
	"labels": func(p *corev1.Pod) {
		for i := range 8000 {
			p.Labels[fmt.Sprintf("k%062d", i)] = strings.Repeat("v", 63)
		}
	},
	"short labels": func(p *corev1.Pod) {
		for i := range 20000 {
			p.Labels[strconv.Itoa(i)] = ""
		}
	},
	"annotations": func(p *corev1.Pod) { p.Annotations = map[string]string{"a": strings.Repeat("v", much)} },
	"owner references": func(p *corev1.Pod) {
		for i := range 8000 {
			p.OwnerReferences = append(p.OwnerReferences, metav1.OwnerReference{
				APIVersion: "apps/v1", Kind: ReplicaSet, Name: strings.Repeat("n", 100), UID: types.UID(strconv.Itoa(i)),
			})
		}
	},
	"an owner's kind": func(p *corev1.Pod) {
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "a/v1", Kind: strings.Repeat("k", much), Name: "x", UID: "y", Controller: ptr.To(true)}}
	},
	"an image": func(p *corev1.Pod) { p.Spec.Containers[0].Image = strings.Repeat("y", much) },
	"an init image": func(p *corev1.Pod) {
		p.Spec.InitContainers = []corev1.Container{{Name: "i", Image: strings.Repeat("y", much)}}
	},
	"images": func(p *corev1.Pod) {
		for i := range 256 {
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: strconv.Itoa(i), Image: strings.Repeat("y", 4<<10)})
		}
	},
	"containers": func(p *corev1.Pod) {
		for i := range 10000 {
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: strconv.Itoa(i), Image: "x"})
		}
	},
	"init containers": func(p *corev1.Pod) { p.Spec.InitContainers = make([]corev1.Container, 10000) },
	"ephemeral containers": func(p *corev1.Pod) {
		for i := range 10000 {
			p.Spec.EphemeralContainers = append(p.Spec.EphemeralContainers, corev1.EphemeralContainer{
				EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: strconv.Itoa(i), Image: "x"},
			})
		}
	},
	"image volumes": func(p *corev1.Pod) {
		for i := range 5000 {
			p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: strconv.Itoa(i), VolumeSource: corev1.VolumeSource{
				Image: &corev1.ImageVolumeSource{Reference: strings.Repeat("r", 200)},
			}})
		}
	},
	"an image volume": func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: strings.Repeat("r", much)}}}}
	},
	"pull secrets": func(p *corev1.Pod) {
		for i := range 10000 {
			p.Spec.ImagePullSecrets = append(p.Spec.ImagePullSecrets, corev1.LocalObjectReference{Name: strings.Repeat("s", 100) + strconv.Itoa(i)})
		}
	},
	"a pull secret": func(p *corev1.Pod) {
		p.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: strings.Repeat("s", much)}}
	},
	"a message": func(p *corev1.Pod) { p.Status.ContainerStatuses[0].State.Waiting.Message = strings.Repeat("m", much) },
	"a reason":  func(p *corev1.Pod) { p.Status.ContainerStatuses[0].State.Waiting.Reason = strings.Repeat("m", much) },
	"statuses": func(p *corev1.Pod) {
		for range 10000 {
			p.Status.InitContainerStatuses = append(p.Status.InitContainerStatuses, corev1.ContainerStatus{
				Name: "x", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull"}},
			})
		}
	},
	"conditions": func(p *corev1.Pod) {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReadyToStartContainers, Status: corev1.ConditionStatus(strings.Repeat("c", much))}}
	},
	"managed fields": func(p *corev1.Pod) {
		p.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: strings.Repeat("m", much)}}
	},
}

// ordinary is a pod that cannot pull.
func ordinary() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "any", Name: "x", UID: "uid", Labels: map[string]string{"app": "web"}},
		Spec:       corev1.PodSpec{NodeName: "node-1", Containers: []corev1.Container{{Name: "app", Image: "us-docker.pkg.dev/p/r/i:1"}}},
		Status: corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{
			Name: "app", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "denied"}},
		}}},
	}
}

// TestCachedPodIsBounded checks that Cached returns a small pod for every hostile one.
func TestCachedPodIsBounded(t *testing.T) {
	const pods, most = 4, 20 << 10 // The limit of the content, and the fixed size of a pod.
	for name, write := range hostile {
		t.Run(name, func(t *testing.T) {
			kept := make([]*corev1.Pod, pods)
			before := heap()
			for i := range kept {
				pod := ordinary()
				write(pod)
				kept[i] = Cached(pod)
			}
			if each := (heap() - before) / pods; each > most {
				t.Errorf("%d bytes are kept of each pod, want at most %d", each, most)
			}
			first := kept[0]
			if first.Namespace != "any" || first.Name != "x" || first.UID != "uid" || first.Status.Phase != corev1.PodPending {
				t.Errorf("it cannot be told which pod it is: %+v", first)
			}
			if diff := cmp.Diff(first, Cached(first)); diff != "" {
				t.Errorf("applied twice (-once +twice):\n%s", diff)
			}
			runtime.KeepAlive(kept)
		})
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestWhatIsBoundedStaysTrue checks that a cached pod gives the same verdict as the whole
// pod, or is a stub.
func TestWhatIsBoundedStaysTrue(t *testing.T) {
	causes := func(p *corev1.Pod) []pullfailure.Cause {
		var causes []pullfailure.Cause
		for _, f := range pullfailure.InPod(p) {
			causes = append(causes, f.Classify().Cause)
		}
		return causes
	}
	stubs := map[string]bool{
		"labels": true, "short labels": true, "images": true, "containers": true, "init containers": true,
		"ephemeral containers": true, "image volumes": true, "statuses": true,
	}
	for name, write := range hostile {
		pod := ordinary()
		write(pod)
		kept := Cached(pod)
		if IsStub(kept) != stubs[name] {
			t.Errorf("%s: a stub is kept: %v, want %v", name, IsStub(kept), stubs[name])
		}
		if IsStub(kept) {
			continue
		}
		if diff := cmp.Diff(causes(pod), causes(kept)); diff != "" {
			t.Errorf("%s: causes (-whole +kept):\n%s", name, diff)
		}
		if len(kept.Labels) != len(pod.Labels) {
			t.Errorf("%s: %d of %d labels are kept", name, len(kept.Labels), len(pod.Labels))
		}
	}
	many := ordinary()
	for i := range 12 { // As many as service meshes and similar tools add.
		many.Spec.Containers = append(many.Spec.Containers, corev1.Container{Name: strconv.Itoa(i), Image: "us-docker.pkg.dev/project/repository/image:1"})
	}
	if IsStub(Cached(many)) {
		t.Error("an ordinary pod of 13 containers does not fit")
	}
}

// TestLargeNamespaceLabelsAreOmitted checks that a reader learns of omitted labels, from the
// cache and from the API server alike, because a selector may require the absence of a label.
func TestLargeNamespaceLabelsAreOmitted(t *testing.T) {
	namespace := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Name: "shop", Labels: map[string]string{"env": "prod"}, Annotations: map[string]string{"a": strings.Repeat("v", much)},
	}}
	kept := CachedNamespace(namespace)
	if kept.Labels["env"] != "prod" || kept.Annotations != nil {
		t.Errorf("an ordinary namespace is kept as %+v", kept)
	}
	for i := range 8000 {
		namespace.Labels[strconv.Itoa(i)] = ""
	}
	kept = CachedNamespace(CachedNamespace(namespace))
	if len(kept.Labels) != 0 {
		t.Errorf("%d labels are kept", len(kept.Labels))
	}
	for name, read := range map[string]metav1.ObjectMeta{"cached": kept.ObjectMeta, "whole": namespace.ObjectMeta} {
		s := newServer(t, &corev1.Namespace{ObjectMeta: read})
		if labels, omitted, err := NamespaceLabels(t.Context(), s, "shop"); err != nil || !omitted || len(labels) != 0 {
			t.Errorf("%s: labels that were left out are read as %d labels, omitted %v, %v", name, len(labels), omitted, err)
		}
	}
}

// TestOmittedLabelsCannotBeForged: the mark of omitted labels is an annotation that the API
// server refuses, so that nobody who edits a namespace can set it.
func TestOmittedLabelsCannotBeForged(t *testing.T) {
	if errs := validation.IsQualifiedName(strings.ToLower(labelsOmitted)); len(errs) == 0 {
		t.Errorf("the API server accepts annotation %q from anybody", labelsOmitted)
	}
	s := newServer(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: "shop", Labels: map[string]string{"env": "prod"}, Annotations: map[string]string{"pullaccess.dev/labels-too-large": "true"},
	}})
	if labels, omitted, err := NamespaceLabels(t.Context(), s, "shop"); err != nil || omitted || labels["env"] != "prod" {
		t.Errorf("a namespace with an annotation of a user is read as %v, omitted %v, %v", labels, omitted, err)
	}
}

// TestCachedPodKeepsItsPullSecrets: a pod that names a pull secret is never kept as one that
// names none, nor with so few that all of them are read.
func TestCachedPodKeepsItsPullSecrets(t *testing.T) {
	secrets := func(names ...string) []corev1.LocalObjectReference {
		var references []corev1.LocalObjectReference
		for _, name := range names {
			references = append(references, corev1.LocalObjectReference{Name: name})
		}
		return references
	}
	var many []string
	for i := range 40 {
		many = append(many, "s"+strconv.Itoa(i))
	}
	for name, tc := range map[string]struct{ names, want []string }{
		"none":             {},
		"empty":            {names: make([]string, 20)},
		"behind empty":     {names: append(make([]string, 20), "real"), want: []string{"real"}},
		"behind equal":     {names: append(slices.Repeat([]string{"a"}, 20), "real"), want: []string{"a", "real"}},
		"more than 16":     {names: many, want: many[:17]},
		"more, with empty": {names: append(make([]string, 20), many...), want: many[:17]},
	} {
		pod := ordinary()
		pod.Spec.ImagePullSecrets = secrets(tc.names...)
		if diff := cmp.Diff(secrets(tc.want...), Cached(pod).Spec.ImagePullSecrets); diff != "" {
			t.Errorf("%s: (-want +kept):\n%s", name, diff)
		}
	}
}

// TestCachedPodKeepsWhatHidesAnImage: the image of a failure is unknown in the whole pod and in
// what is kept of it, if an image volume's reference is too long to be kept.
func TestCachedPodKeepsWhatHidesAnImage(t *testing.T) {
	pod := ordinary()
	pod.Status.ContainerStatuses[0].State.Waiting.Message = "failed to authorize: failed to fetch oauth token: 403 Forbidden"
	hostile["an image volume"](pod)
	for name, p := range map[string]*corev1.Pod{"whole": pod, "kept": Cached(pod)} {
		if failures := pullfailure.InPod(p); len(failures) != 1 || failures[0].Image != "" {
			t.Errorf("%s: the failures are %+v, want one without an image", name, failures)
		}
	}
}

// TestCachedPodKeepsTheLastStart: an Event from before a container last ran says nothing of
// why it cannot pull now.
func TestCachedPodKeepsTheLastStart(t *testing.T) {
	pod := ordinary()
	pod.Status.ContainerStatuses[0].State.Waiting = &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "Back-off pulling image"}
	denied := &corev1.Event{
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, FieldPath: "spec.containers{app}"},
		Reason:         "Failed", LastTimestamp: metav1.Unix(100, 0),
		Message: `Failed to pull image "us-docker.pkg.dev/p/r/i:1": failed to authorize: failed to fetch oauth token: 403 Forbidden`,
	}
	causes := func(p *corev1.Pod) []pullfailure.Cause {
		var causes []pullfailure.Cause
		for _, f := range pullfailure.FromEvents(p, []*corev1.Event{denied}) {
			causes = append(causes, f.Classify().Cause)
		}
		return causes
	}
	if got := causes(Cached(pod)); !slices.Equal(got, []pullfailure.Cause{pullfailure.PermissionDenied}) {
		t.Errorf("of a container that never ran, the causes are %v", got)
	}
	for name, last := range map[string]corev1.ContainerState{
		"terminated": {Terminated: &corev1.ContainerStateTerminated{StartedAt: metav1.Unix(200, 0), Message: strings.Repeat("m", much)}},
		"running":    {Running: &corev1.ContainerStateRunning{StartedAt: metav1.Unix(200, 0)}},
	} {
		pod.Status.ContainerStatuses[0].LastTerminationState = last
		if got := causes(Cached(pod)); !slices.Equal(got, []pullfailure.Cause{pullfailure.BackOff}) || IsStub(Cached(pod)) {
			t.Errorf("%s: the causes are %v, want BackOff", name, got)
		}
	}
}

// TestOrdinaryPodFits: a pod of which every container cannot pull is kept, and the causes with it.
func TestOrdinaryPodFits(t *testing.T) {
	for name, message := range map[string]func(i int) string{
		"7 messages":      func(i int) string { return strconv.Itoa(i) + strings.Repeat("m", 899) },
		"7 equal":         func(int) string { return strings.Repeat("m", 900) },
		"7 equal, longer": func(int) string { return strings.Repeat("m", 4000) },
	} {
		pod := ordinary()
		pod.Spec.Containers, pod.Status.ContainerStatuses = nil, nil
		for i := range 8 {
			pod.Labels[fmt.Sprintf("app.kubernetes.io/label-%d", i)] = strings.Repeat("v", 30)
		}
		for i := range 7 {
			c := "container-" + strconv.Itoa(i)
			pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: c, Image: "us-central1-docker.pkg.dev/acme-prod-417/services/image-" + c + ":v1.2.3"})
			pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{
				Name: c, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: message(i)}},
			})
		}
		kept := Cached(pod)
		if diff := cmp.Diff(pullfailure.InPod(pod), pullfailure.InPod(kept)); IsStub(kept) || diff != "" {
			t.Errorf("%s: a stub is kept: %v; failures (-whole +kept):\n%s", name, IsStub(kept), diff)
		}
	}
}

// TestUnscheduledPodIsSmall: a pod without a node cannot fail to pull. It is kept by its
// identity until it has one, and is not to be read live.
func TestUnscheduledPodIsSmall(t *testing.T) {
	const pods, most = 16, 3 << 10
	write := func() *corev1.Pod {
		pod := ordinary()
		for i := range 60 { // Nearly 12 KB.
			pod.Labels[fmt.Sprintf("k%062d", i)] = strings.Repeat("v", 63)
		}
		return pod
	}
	kept := make([]*corev1.Pod, pods)
	before := heap()
	for i := range kept {
		pod := write()
		pod.Spec.NodeName = ""
		kept[i] = Cached(pod)
	}
	if each := (heap() - before) / pods; each > most {
		t.Errorf("%d bytes are kept of each pod, want at most %d", each, most)
	}
	first := kept[0]
	if first.Namespace != "any" || first.Name != "x" || first.UID != "uid" || first.Status.Phase != corev1.PodPending {
		t.Errorf("it cannot be told which pod it is: %+v", first)
	}
	if IsStub(first) || IsStub(Cached(first)) {
		t.Error("it is to be read live")
	}
	if diff := cmp.Diff(first, Cached(first)); diff != "" {
		t.Errorf("applied twice (-once +twice):\n%s", diff)
	}
	if bound := Cached(write()); IsStub(bound) || len(pullfailure.InPod(bound)) != 1 || len(bound.Labels) != 61 {
		t.Errorf("with a node, %d failures and %d labels are kept", len(pullfailure.InPod(bound)), len(bound.Labels))
	}
	large := write()
	hostile["containers"](large)
	if !IsStub(Cached(large)) || !IsStub(Cached(Cached(large))) {
		t.Error("a large pod with a node is not to be read live")
	}
	runtime.KeepAlive(kept)
}
