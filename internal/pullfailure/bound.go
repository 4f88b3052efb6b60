// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

const (
	// maxReference is the longest image reference that is evaluated, in bytes. No runtime
	// accepts a name of more than 255.
	maxReference = 4 << 10
	// maxFailures limits the failing containers of one pod that are evaluated, maxVolumes
	// the image volumes that one message is matched to. Users decide how many a pod has.
	maxFailures, maxVolumes = 64, 64
)

// Truncate cuts a message as Classify does, to a little over 8 KB. Classify recognizes a
// cut message, and returns the same verdict as for the whole message.
func Truncate(message string) string {
	if len(message) <= maxHead+maxTail {
		return message
	}
	return message[:maxHead] + "\n" + message[len(message)-maxTail:]
}

// Reference returns the image reference, or "" if it is longer than 4 KB. The operator
// treats a longer reference as invalid.
func Reference(image string) string {
	if len(image) > maxReference {
		return ""
	}
	return image
}

// bounded returns f with a limited image. If the image is too long, the failure is
// InvalidImageName.
func bounded(f Failure) Failure {
	if f.Image = Reference(f.Image); f.Image == "" {
		f.Reason, f.Message = "InvalidImageName", ""
	}
	return f
}

// quotedVolumes lists the pod's image volumes whose reference the message quotes, in the
// order of the spec. Of more than 64 it lists the first. It searches all volumes: one that
// is left out would have its failure taken for that of the container's own image.
func quotedVolumes(pod *corev1.Pod, message string) []*corev1.Volume {
	if len(pod.Spec.Volumes) == 0 {
		return nil
	}
	quoted := map[string]bool{}
	for part := range strings.SplitSeq(Truncate(message), `"`) {
		quoted[part] = true
	}
	var volumes []*corev1.Volume
	for i := range pod.Spec.Volumes {
		image := pod.Spec.Volumes[i].Image
		if image != nil && Reference(image.Reference) != "" && quoted[image.Reference] && len(volumes) < maxVolumes {
			volumes = append(volumes, &pod.Spec.Volumes[i])
		}
	}
	return volumes
}

// hasInvalidVolume tells whether the reference of an image volume is too long, or was left
// out because of that, or is quoted differently than it is written. The API server takes no
// empty one.
func hasInvalidVolume(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool {
		return v.Image != nil && (Reference(v.Image.Reference) == "" || strings.ContainsAny(v.Image.Reference, `"\`))
	})
}
