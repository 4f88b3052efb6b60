// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

const image = "us-west1-docker.pkg.dev/acme-prod-417/services/checkout:1.8.2"

func pod() *corev1.Pod {
	return &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: image}}}}
}

// TestStatusesAreUnderstood has the operator's own reading of the statuses.
func TestStatusesAreUnderstood(t *testing.T) {
	now := metav1.NewTime(time.Unix(0, 0))
	for name, tc := range map[string]struct {
		status corev1.PodStatus
		want   pullfailure.Cause // "" if nothing fails.
	}{
		"failed":  {waiting(pod(), errImagePull, now), pullfailure.PermissionDenied},
		"waits":   {waiting(pod(), imagePullBackOff, now), pullfailure.PermissionDenied},
		"running": {Running(pod(), now), ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := pod()
			p.Status = tc.status
			var got pullfailure.Cause
			for _, f := range pullfailure.InPod(p) {
				got = f.Classify().Cause
			}
			if got != tc.want {
				t.Errorf("cause %q, want %q", got, tc.want)
			}
		})
	}
}
