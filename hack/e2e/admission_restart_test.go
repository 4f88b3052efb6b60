// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"context"
	"fmt"
	"maps"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// What the policy pullaccess.dev-operator-restarts says, refusal by refusal.
const (
	specMessage       = "Leave spec as it is outside of its template: the operator may do no more to a workload than restart it."
	podMessage        = "Leave spec.template.spec as it is: the operator may not change what a workload runs."
	labelMessage      = "Leave the labels and all other metadata of spec.template as they are, but for the annotation that restarts."
	annotationMessage = "Set no annotation of spec.template but kubectl.kubernetes.io/restartedAt, which is the one that restarts."
	metadataMessage   = "Leave the workload's own metadata as it is, its labels, annotations, owners and finalizers."
)

// restartCase is one change of a workload.
type restartCase struct {
	// patch is a JSON patch, without the brackets.
	patch string
	// refused is the sentence that refuses it to the operator, "" if nothing does. Nobody else is ever refused.
	refused string
}

// restart is the one change that the operator may make.
const restart = `{"op": "add", "path": "/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt", "value": "2026-01-02T03:04:05Z"}`

var restartCases = map[string]restartCase{
	"restart":          {restart, ""},
	"restart anew":     {`{"op": "replace", "path": "/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt", "value": "2026-01-02T03:04:06Z"}`, ""},
	"nothing":          {"", ""},
	"field":            {`{"op": "replace", "path": "/spec/revisionHistoryLimit", "value": 7}`, specMessage},
	"field away":       {`{"op": "remove", "path": "/spec/minReadySeconds"}`, specMessage},
	"field in restart": {restart + `, {"op": "replace", "path": "/spec/minReadySeconds", "value": 7}`, specMessage},
	"image":            {`{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "evil"}`, podMessage},
	"image in restart": {restart + `, {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "evil"}`, podMessage},
	"environment":      {`{"op": "add", "path": "/spec/template/spec/containers/0/env", "value": [{"name": "LD_PRELOAD", "value": "/evil.so"}]}`, podMessage},
	"container":        {`{"op": "add", "path": "/spec/template/spec/initContainers", "value": [{"name": "evil", "image": "evil"}]}`, podMessage},
	"service account":  {`{"op": "add", "path": "/spec/template/spec/serviceAccountName", "value": "evil"}`, podMessage},
	"pod field away":   {`{"op": "remove", "path": "/spec/template/spec/nodeSelector"}`, podMessage},
	"pod label":        {`{"op": "add", "path": "/spec/template/metadata/labels/evil", "value": "yes"}`, labelMessage},
	"pod label away":   {`{"op": "remove", "path": "/spec/template/metadata/labels/team"}`, labelMessage},
	"pod finalizer":    {`{"op": "add", "path": "/spec/template/metadata/finalizers", "value": ["example.com/evil"]}`, labelMessage},
	"another pod annotation": {
		`{"op": "add", "path": "/spec/template/metadata/annotations/sidecar.istio.io~1inject", "value": "true"}`, annotationMessage,
	},
	"pod annotation":           {`{"op": "replace", "path": "/spec/template/metadata/annotations/team", "value": "evil"}`, annotationMessage},
	"pod annotation away":      {`{"op": "remove", "path": "/spec/template/metadata/annotations/team"}`, annotationMessage},
	"all pod annotations away": {`{"op": "remove", "path": "/spec/template/metadata/annotations"}`, annotationMessage},
	"another label":            {`{"op": "add", "path": "/metadata/labels/evil", "value": "yes"}`, metadataMessage},
	"label away":               {`{"op": "remove", "path": "/metadata/labels"}`, metadataMessage},
	"another annotation":       {`{"op": "add", "path": "/metadata/annotations/evil", "value": "yes"}`, metadataMessage},
	"annotation":               {`{"op": "replace", "path": "/metadata/annotations/team", "value": "evil"}`, metadataMessage},
	"annotation away":          {`{"op": "remove", "path": "/metadata/annotations/team"}`, metadataMessage},
	"finalizer":                {`{"op": "add", "path": "/metadata/finalizers", "value": ["example.com/evil"]}`, metadataMessage},
	"owner": {
		`{"op": "add", "path": "/metadata/ownerReferences", "value": [{"apiVersion": "v1", "kind": "Pod", "name": "evil", "uid": "1"}]}`, metadataMessage,
	},
}

// scaled and counted are changes of what a DaemonSet has not: of one, the API server itself counts the templates.
var (
	scaled  = restartCase{`{"op": "replace", "path": "/spec/replicas", "value": 7}`, specMessage}
	counted = restartCase{`{"op": "add", "path": "/metadata/annotations/deprecated.daemonset.template.generation", "value": "7"}`, metadataMessage}
)

// kindCases are for single kinds.
var kindCases = map[string]map[string]restartCase{
	"Deployment": {
		"replicas": scaled, "count of templates": counted,
		"another field": {`{"op": "add", "path": "/spec/paused", "value": true}`, specMessage},
	},
	"StatefulSet": {
		"replicas": scaled, "count of templates": counted,
		"another field": {`{"op": "add", "path": "/spec/ordinals", "value": {"start": 7}}`, specMessage},
	},
}

// TestAdmissionOfOperatorRestarts tries on each kind of workload what the holder of the operator's token may change of it.
func TestAdmissionOfOperatorRestarts(t *testing.T) {
	workloads := restartable()
	for _, w := range workloads {
		createUntilEnd(t, w)
	}
	operator := as(t, operatorUser)
	inForce(t, "pullaccess.dev-operator-restarts", func(ctx context.Context) error {
		return tryPatch(ctx, operator, workloads["Deployment"], scaled)
	})
	t.Run("cases", func(t *testing.T) {
		for kind, w := range workloads {
			cases := maps.Clone(restartCases)
			maps.Copy(cases, kindCases[kind])
			for name, tc := range cases {
				t.Run(kind+"/"+name, func(t *testing.T) {
					t.Parallel()
					wantRefusal(t, tryPatch(t.Context(), operator, w, tc), tc.refused)
					wantRefusal(t, tryPatch(t.Context(), shared.client, w, tc), "")
				})
			}
		}
	})
	var sentences []string
	for _, tc := range restartCases {
		sentences = append(sentences, tc.refused)
	}
	wantAllSaid(t, "pullaccess.dev-operator-restarts", sentences)
}

// tryPatch asks whether the change would be admitted.
func tryPatch(ctx context.Context, c client.Client, workload client.Object, tc restartCase) error {
	object, ok := workload.DeepCopyObject().(client.Object)
	if !ok {
		return fmt.Errorf("copy %T: not an object", workload)
	}
	return c.Patch(ctx, object, client.RawPatch(types.JSONPatchType, []byte("["+tc.patch+"]")), client.DryRunAll)
}

// restartable are workloads without pods, one of each kind, that have something of everything.
func restartable() map[string]client.Object {
	own := func() metav1.ObjectMeta {
		return metav1.ObjectMeta{
			Name: "admission", Namespace: "default", Labels: map[string]string{"team": "web"}, Annotations: map[string]string{"team": "web"},
		}
	}
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{"app": "admission"}}
	template := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{
			Labels:      map[string]string{"app": "admission", "team": "web"},
			Annotations: map[string]string{"team": "web", restartedAt: "2025-01-02T03:04:05Z"},
		},
		Spec: corev1.PodSpec{
			NodeSelector: map[string]string{corev1.LabelHostname: "none"},
			Containers:   []corev1.Container{{Name: "app", Image: "registry.example.com/app:1"}},
		},
	}
	return map[string]client.Object{
		"Deployment": &appsv1.Deployment{ObjectMeta: own(), Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To[int32](0), MinReadySeconds: 1, Selector: selector, Template: template,
		}},
		"StatefulSet": &appsv1.StatefulSet{ObjectMeta: own(), Spec: appsv1.StatefulSetSpec{
			Replicas: ptr.To[int32](0), MinReadySeconds: 1, Selector: selector, Template: template,
		}},
		"DaemonSet": &appsv1.DaemonSet{ObjectMeta: own(), Spec: appsv1.DaemonSetSpec{
			MinReadySeconds: 1, Selector: selector, Template: template,
		}},
	}
}
