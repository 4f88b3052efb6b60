// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/input"
)

// Files looks for failing pods in what kubectl wrote. The store holds what else
// of the cluster the files show.
func Files(names []string, stdin io.Reader, request Request) (Snapshot, *Store, error) {
	f := files{
		Snapshot: Snapshot{Events: map[types.NamespacedName][]*corev1.Event{}},
		pods:     map[types.NamespacedName]*corev1.Pod{},
		store:    newStore(),
	}
	for _, name := range names {
		if err := f.read(name, stdin); err != nil {
			return Snapshot{}, nil, err
		}
	}
	if found := f.keep(request); !found {
		if err := f.missing(request); err != nil {
			return Snapshot{}, nil, err
		}
	}
	return f.Snapshot, f.store, nil
}

type files struct {
	Snapshot

	pods  map[types.NamespacedName]*corev1.Pod
	store *Store
	// names are those of the files, and objects is how many they hold of all kinds.
	names   []string
	objects int
}

func (f *files) read(name string, stdin io.Reader) error {
	opened, err := input.Open(name, stdin)
	if err != nil {
		return err
	}
	defer opened.Close()
	f.names = append(f.names, opened.Name)
	data, err := input.Text(opened)
	if err != nil {
		return err
	}
	return itemsOf(opened.Name, data, f.add)
}

// forms are the kinds that something is learnt from; others are passed over.
var forms = map[metav1.TypeMeta]func() client.Object{
	{APIVersion: "v1", Kind: "Pod"}:                                        func() client.Object { return &corev1.Pod{} },
	{APIVersion: "v1", Kind: "Event"}:                                      func() client.Object { return &corev1.Event{} },
	{APIVersion: "events.k8s.io/v1", Kind: "Event"}:                        func() client.Object { return &eventsv1.Event{} },
	{APIVersion: "v1", Kind: "Node"}:                                       func() client.Object { return &corev1.Node{} },
	{APIVersion: "v1", Kind: "Namespace"}:                                  func() client.Object { return &corev1.Namespace{} },
	{APIVersion: "v1", Kind: "ServiceAccount"}:                             func() client.Object { return &corev1.ServiceAccount{} },
	{APIVersion: "v1", Kind: "Secret"}:                                     func() client.Object { return &corev1.Secret{} },
	{APIVersion: v1alpha1.GroupVersion.String(), Kind: "PullAccessPolicy"}: func() client.Object { return &v1alpha1.PullAccessPolicy{} },
	{APIVersion: v1alpha1.GroupVersion.String(), Kind: "PullAccessGrant"}:  func() client.Object { return &v1alpha1.PullAccessGrant{} },
}

func (f *files) add(data json.RawMessage) error {
	var head struct {
		metav1.TypeMeta `json:",inline"`
		Metadata        struct{ Namespace, Name string } `json:"metadata"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return fmt.Errorf("it is no Kubernetes object: %w", err)
	}
	f.objects++
	empty, ok := forms[head.TypeMeta]
	if !ok {
		return nil
	}
	object := empty()
	if err := json.Unmarshal(data, object); err != nil {
		return fmt.Errorf("%s %s/%s cannot be read: %w", head.Kind, head.Metadata.Namespace, head.Metadata.Name, err)
	}
	object.SetManagedFields(nil)
	switch o := object.(type) {
	case *corev1.Pod:
		f.pods[client.ObjectKeyFromObject(o)] = o
	case *corev1.Event:
		f.addEvent(o)
	case *eventsv1.Event:
		f.addEvent(asCore(o))
	default:
		f.store.add(o)
	}
	return nil
}

func (f *files) addEvent(e *corev1.Event) {
	f.Events[involvedPod(e)] = append(f.Events[involvedPod(e)], e)
	f.addReport(e)
}

// keep keeps of the request's pods those that cannot pull, and tells whether
// there is any pod of the request at all.
func (f *files) keep(request Request) bool {
	found := false
	for _, p := range slices.SortedFunc(maps.Values(f.pods), byName) {
		if !request.wants(p) {
			continue
		}
		found = true
		if f.failing(p) {
			f.Pods = append(f.Pods, p)
		}
	}
	return found
}

// missing says what was asked about and is not in the files. Files that show no
// pod at all, of the namespace if one was named, do not say that nothing fails;
// only empty ones do, as kubectl writes them where there is nothing.
func (f *files) missing(request Request) error {
	place, namespace := strings.Join(f.names, ", "), ""
	if request.Namespace != "" {
		namespace = " in namespace " + request.Namespace
	}
	inNamespace := func(p *corev1.Pod) bool { return request.Namespace == "" || p.Namespace == request.Namespace }
	switch {
	case request.Target.Kind == podKind:
		return fmt.Errorf("%s%s is not in %s", request.Target, namespace, place)
	case !request.Target.IsZero():
		return fmt.Errorf("no pod of %s%s is in %s", request.Target, namespace, place)
	case f.objects == 0, slices.ContainsFunc(slices.Collect(maps.Values(f.pods)), inNamespace):
		return nil
	default:
		return fmt.Errorf("no pod%s is in %s; write it with: kubectl get pods,events -o json", namespace, place)
	}
}

// wants tells whether the pod is asked about.
func (r Request) wants(p *corev1.Pod) bool {
	switch owner := metav1.GetControllerOf(p); {
	case r.Namespace != "" && p.Namespace != r.Namespace:
		return false
	case r.Selector != nil && !r.Selector.Matches(labels.Set(p.Labels)):
		return false
	case r.Target.IsZero(), r.Target == Target{Kind: podKind, Name: p.Name}:
		return true
	default:
		w := WorkloadOf(p)
		return r.Target == Target{Kind: w.Kind, Name: w.Name} ||
			owner != nil && r.Target == Target{Kind: owner.Kind, Name: owner.Name}
	}
}

// asCore is an event of the newer API as the older one has it.
func asCore(e *eventsv1.Event) *corev1.Event {
	old := &corev1.Event{
		ObjectMeta: e.ObjectMeta, InvolvedObject: e.Regarding, Reason: e.Reason, Message: e.Note, Type: e.Type,
		EventTime: e.EventTime, Count: e.DeprecatedCount,
		FirstTimestamp: e.DeprecatedFirstTimestamp, LastTimestamp: e.DeprecatedLastTimestamp,
		ReportingController: e.ReportingController, Source: e.DeprecatedSource,
	}
	if e.Series != nil {
		old.Series = &corev1.EventSeries{Count: e.Series.Count, LastObservedTime: e.Series.LastObservedTime}
	}
	return old
}
