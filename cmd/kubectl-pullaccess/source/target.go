// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Request is which pods are asked about.
type Request struct {
	// Namespace is "" for all.
	Namespace string
	// Target is one pod or workload; the zero value is every pod.
	Target Target
	// Selector narrows the pods by their labels.
	Selector labels.Selector
}

// Target is one pod or workload, by kind and name.
type Target struct{ Kind, Name string }

// IsZero tells whether nothing in particular was asked for.
func (t Target) IsZero() bool { return t == Target{} }

// String is the target as kubectl writes it.
func (t Target) String() string { return strings.ToLower(t.Kind) + "/" + t.Name }

// kind is a kind of workload, by the names that kubectl has for it.
type kind struct {
	name    string
	aliases []string
	// object and list are empty; selector reads a filled object. A pod selects nothing.
	object   func() client.Object
	list     func() client.ObjectList
	selector func(client.Object) *metav1.LabelSelector
}

// podKind is the kind of a name that stands alone.
const podKind = "Pod"

var kinds = []kind{
	{podKind, []string{"pod", "pods", "po"}, func() client.Object { return &corev1.Pod{} }, func() client.ObjectList { return &corev1.PodList{} }, nil},
	{
		"Deployment",
		[]string{"deployment", "deployments", "deploy", "deployment.apps", "deployments.apps", "deploy.apps"},
		func() client.Object { return &appsv1.Deployment{} },
		func() client.ObjectList { return &appsv1.DeploymentList{} },
		selectorOf(func(d *appsv1.Deployment) *metav1.LabelSelector { return d.Spec.Selector }),
	},
	{
		"StatefulSet",
		[]string{"statefulset", "statefulsets", "sts", "statefulset.apps", "statefulsets.apps", "sts.apps"},
		func() client.Object { return &appsv1.StatefulSet{} },
		func() client.ObjectList { return &appsv1.StatefulSetList{} },
		selectorOf(func(s *appsv1.StatefulSet) *metav1.LabelSelector { return s.Spec.Selector }),
	},
	{
		"DaemonSet",
		[]string{"daemonset", "daemonsets", "ds", "daemonset.apps", "daemonsets.apps", "ds.apps"},
		func() client.Object { return &appsv1.DaemonSet{} },
		func() client.ObjectList { return &appsv1.DaemonSetList{} },
		selectorOf(func(s *appsv1.DaemonSet) *metav1.LabelSelector { return s.Spec.Selector }),
	},
	{
		"ReplicaSet",
		[]string{"replicaset", "replicasets", "rs", "replicaset.apps", "replicasets.apps", "rs.apps"},
		func() client.Object { return &appsv1.ReplicaSet{} },
		func() client.ObjectList { return &appsv1.ReplicaSetList{} },
		selectorOf(func(s *appsv1.ReplicaSet) *metav1.LabelSelector { return s.Spec.Selector }),
	},
	{
		"Job",
		[]string{"job", "jobs", "job.batch", "jobs.batch"},
		func() client.Object { return &batchv1.Job{} },
		func() client.ObjectList { return &batchv1.JobList{} },
		selectorOf(func(j *batchv1.Job) *metav1.LabelSelector { return j.Spec.Selector }),
	},
}

func selectorOf[T client.Object](read func(T) *metav1.LabelSelector) func(client.Object) *metav1.LabelSelector {
	return func(o client.Object) *metav1.LabelSelector {
		if object, ok := o.(T); ok {
			return read(object)
		}
		return nil
	}
}

// Types are the names under which targets are known, the first of each kind.
func Types() []string {
	var names []string
	for _, k := range kinds {
		names = append(names, k.aliases[0])
	}
	return names
}

// ParseTarget reads POD or TYPE/NAME.
func ParseTarget(argument string) (Target, error) {
	alias, name, typed := strings.Cut(argument, "/")
	if !typed {
		alias, name = "pod", argument
	}
	if name == "" || strings.Contains(name, "/") {
		return Target{}, fmt.Errorf("%q is neither POD nor TYPE/NAME", argument)
	}
	k, ok := kindOf(alias)
	if !ok {
		return Target{}, fmt.Errorf("type %q is not supported; types are: %s", alias, strings.Join(Types(), ", "))
	}
	return Target{Kind: k.name, Name: name}, nil
}

func kindOf(alias string) (kind, bool) {
	alias = strings.ToLower(alias)
	i := slices.IndexFunc(kinds, func(k kind) bool { return slices.Contains(k.aliases, alias) })
	if i < 0 {
		return kind{}, false
	}
	return kinds[i], true
}
