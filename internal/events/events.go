// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package events emits the Events on pods, workloads, policies and grants. One function
// is one Event; its sentence comes from internal/message or from a diagnosis.
//
// Controllers emit on change only; nothing here remembers what was emitted.
package events

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/explanation"
	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/message"
)

// Recorder writes events of the API group events.k8s.io.
type Recorder = events.EventRecorder

// maxNote is the API server's bound on an event's note, in bytes.
const maxNote = 1024

// Actions, in the words of the flow.
const (
	actionDiagnose = "Diagnose"
	actionGrant    = "Grant"
	actionRevoke   = "Revoke"
	actionRestart  = "Restart"
	actionRecover  = "Recover"
)

// Explained tells the owner of a pod why its image cannot be pulled and what to do, with
// the command and the page as far as the note has room. related is the grant that it is
// about, nil if none exists.
func Explained(r Recorder, pod *corev1.Pod, container string, related *v1alpha1.PullAccessGrant, e explanation.Explanation) {
	eventType := corev1.EventTypeWarning
	if e.Progresses() {
		eventType = corev1.EventTypeNormal
	}
	var grant runtime.Object
	if related != nil {
		grant = related
	}
	emit(r, containerOf(pod, container), grant, eventType, e.Reason, actionDiagnose, e.Note(maxNote))
}

// containerOf refers to one container of the pod. The recorder takes events of one
// reason about one object for the same, whatever they say.
func containerOf(pod *corev1.Pod, name string) *corev1.ObjectReference {
	of := &corev1.ObjectReference{
		APIVersion: corev1.SchemeGroupVersion.String(), Kind: "Pod",
		Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, ResourceVersion: pod.ResourceVersion,
	}
	if name != "" {
		of.FieldPath = "spec.containers{" + name + "}"
	}
	return of
}

// ApprovalAsked tells who may approve that a grant waits for them.
func ApprovalAsked(r Recorder, about, related runtime.Object, sentence string) {
	emit(r, about, related, corev1.EventTypeNormal, v1alpha1.ReasonWaitingForApproval, actionGrant, sentence)
}

// AccessGranted tells that the member was added to the repository's policy.
func AccessGranted(r Recorder, about, related runtime.Object, g *v1alpha1.PullAccessGrant) {
	emit(r, about, related, corev1.EventTypeNormal, v1alpha1.ReasonAccessGranted, actionGrant, message.AccessGranted(repository(g), account(g)))
}

// AccessFound tells that the member was there already and nothing was written.
func AccessFound(r Recorder, about, related runtime.Object, g *v1alpha1.PullAccessGrant) {
	emit(r, about, related, corev1.EventTypeNormal, v1alpha1.ReasonAlreadyGranted, actionGrant, message.AccessFound(repository(g), account(g)))
}

// GrantRefused tells why the member could not be added.
func GrantRefused(r Recorder, about, related runtime.Object, reason, sentence string) {
	emit(r, about, related, corev1.EventTypeWarning, reason, actionGrant, sentence)
}

// AccessRevoked tells that the record is deleted, and its member was taken out of
// the repository's policy.
func AccessRevoked(r Recorder, g *v1alpha1.PullAccessGrant) {
	emit(r, g, nil, corev1.EventTypeNormal, v1alpha1.ReasonAccessRevoked, actionRevoke, message.AccessRevoked(repository(g), account(g)))
}

// AccessKept tells that the record is deleted and the member stays where it is, and why.
func AccessKept(r Recorder, g *v1alpha1.PullAccessGrant, fate string) {
	emit(r, g, nil, corev1.EventTypeNormal, "AccessKept", actionRevoke, message.AccessKept(fate))
}

// GrantEnding tells that the grant is about to be taken back, why and when.
func GrantEnding(r Recorder, about, related runtime.Object, sentence string) {
	emit(r, about, related, corev1.EventTypeNormal, v1alpha1.ReasonRevocationScheduled, actionRevoke, sentence)
}

// GrantEnded tells that the grant has come to its end, and why.
func GrantEnded(r Recorder, about, related runtime.Object, reason, sentence string) {
	emit(r, about, related, corev1.EventTypeNormal, reason, actionRevoke, sentence)
}

// Restarted tells the owner of a workload that its stuck pods are replaced.
func Restarted(r Recorder, about, related runtime.Object, w v1alpha1.Workload, g *v1alpha1.PullAccessGrant) {
	emit(r, about, related, corev1.EventTypeNormal, "Restarted", actionRestart, message.WorkloadRestarted(w, repository(g), account(g)))
}

// LeftToKubelet tells the owner of a workload why it is not restarted.
func LeftToKubelet(r Recorder, about, related runtime.Object, sentence string) {
	emit(r, about, related, corev1.EventTypeNormal, v1alpha1.ReasonLeftToKubelet, actionRestart, sentence)
}

// Recovered tells the owner of a workload that its pods have started.
func Recovered(r Recorder, about, related runtime.Object, w v1alpha1.Workload, g *v1alpha1.PullAccessGrant) {
	emit(r, about, related, corev1.EventTypeNormal, v1alpha1.ReasonRecovered, actionRecover, message.WorkloadRecovered(w, repository(g)))
}

// Ineffective tells that the grant did not help.
func Ineffective(r Recorder, about, related runtime.Object, sentence string) {
	emit(r, about, related, corev1.EventTypeWarning, v1alpha1.ReasonIneffective, actionRecover, sentence)
}

// PolicyTrouble tells the platform team what keeps a policy from working.
func PolicyTrouble(r Recorder, policy *v1alpha1.PullAccessPolicy, reason, sentence string) {
	emit(r, policy, nil, corev1.EventTypeWarning, reason, actionDiagnose, sentence)
}

func emit(r Recorder, about, related runtime.Object, eventType, reason, action, note string) {
	if len(note) > maxNote {
		note = strings.ToValidUTF8(note[:maxNote-len("…")], "") + "…"
	}
	r.Eventf(about, related, eventType, reason, action, "%s", note)
}

func account(g *v1alpha1.PullAccessGrant) string {
	email, _ := v1alpha1.EmailOf(g.Spec.Member)
	return email
}

func repository(g *v1alpha1.PullAccessGrant) imageref.Repository {
	return imageref.Of(g.Spec.Repository)
}
