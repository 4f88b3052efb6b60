// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func TestParseTarget(t *testing.T) {
	for argument, want := range map[string]Target{
		"web-1":               {"Pod", "web-1"},
		"po/web-1":            {"Pod", "web-1"},
		"deploy/web":          {"Deployment", "web"},
		"Deployment/web":      {"Deployment", "web"},
		"deployments.apps/w":  {"Deployment", "w"},
		"sts/db":              {"StatefulSet", "db"},
		"daemonsets/agent":    {"DaemonSet", "agent"},
		"replicaset/web-1":    {"ReplicaSet", "web-1"},
		"jobs.batch/nightly":  {"Job", "nightly"},
		"service/web":         {},
		"cronjob/nightly":     {},
		"deployment/":         {},
		"deployment/web/more": {},
		"/web":                {},
		"":                    {},
	} {
		got, err := ParseTarget(argument)
		if got != want || (err == nil) == want.IsZero() {
			t.Errorf("%q: got %+v, %v; want %+v", argument, got, err, want)
		}
	}
}

func TestWorkloadOf(t *testing.T) {
	tests := map[string]struct {
		owner metav1.OwnerReference
		hash  string
		want  string
	}{
		"bare":            {metav1.OwnerReference{}, "", "pod/web"},
		"deployment":      {metav1.OwnerReference{Kind: "ReplicaSet", Name: "web-6d5"}, "6d5", "deployment/web"},
		"set of its own":  {metav1.OwnerReference{Kind: "ReplicaSet", Name: "web-6d5"}, "", "replicaset/web-6d5"},
		"another's hash":  {metav1.OwnerReference{Kind: "ReplicaSet", Name: "web-6d5"}, "7e6", "replicaset/web-6d5"},
		"stateful set":    {metav1.OwnerReference{Kind: "StatefulSet", Name: "db"}, "", "statefulset/db"},
		"job":             {metav1.OwnerReference{Kind: "Job", Name: "nightly-1"}, "", "job/nightly-1"},
		"static":          {metav1.OwnerReference{Kind: "Node", Name: "node-1"}, "", "pod/web"},
		"hash of its own": {metav1.OwnerReference{Kind: "StatefulSet", Name: "db-6d5"}, "6d5", "statefulset/db-6d5"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop", Labels: map[string]string{}}}
			if tc.owner.Kind != "" {
				tc.owner.Controller = ptr.To(true)
				p.OwnerReferences = []metav1.OwnerReference{tc.owner}
			}
			if tc.hash != "" {
				p.Labels["pod-template-hash"] = tc.hash
			}
			if got := WorkloadOf(p); got.String() != tc.want || got.Namespace != "shop" {
				t.Errorf("got %+v, want %s", got, tc.want)
			}
		})
	}
}
