// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package events is the catalogue of the sentences that people read on their
// pods, workloads, policies and grants. One function is one sentence.
//
// Controllers emit on change only; nothing here remembers what was said.
package events

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
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

// Refused tells the owner of a pod why its image cannot be pulled and what to do.
func Refused(r Recorder, pod *corev1.Pod, reason, sentence, command string) {
	note := sentence
	if command != "" && len(sentence)+len(command) < maxNote-len(" Next: ") {
		note += " Next: " + command
	}
	emit(r, pod, nil, corev1.EventTypeWarning, reason, actionDiagnose, note)
}

// AccessRequested tells the owner of a pod that its image will be made readable.
func AccessRequested(r Recorder, pod *corev1.Pod, g *v1alpha1.PullAccessGrant) {
	emit(r, pod, g, corev1.EventTypeNormal, "AccessRequested", actionGrant,
		account(g)+" may not read repository "+repository(g)+"; policy "+g.Spec.Policy+" allows the operator to grant it, as PullAccessGrant "+g.Name+".")
}

// WaitingForAccess tells the owner of a pod that the grant it needs was made and
// is taking effect.
func WaitingForAccess(r Recorder, pod *corev1.Pod, g *v1alpha1.PullAccessGrant) {
	emit(r, pod, g, corev1.EventTypeNormal, "WaitingForPropagation", actionGrant,
		account(g)+" was granted read access to repository "+repository(g)+"; the change is spreading, and the pull is tried again by itself.")
}

// AccessGranted tells that the member was added to the repository's policy.
func AccessGranted(r Recorder, about, related runtime.Object, g *v1alpha1.PullAccessGrant) {
	emit(r, about, related, corev1.EventTypeNormal, v1alpha1.ReasonAccessGranted, actionGrant,
		"Granted "+account(g)+" read access to repository "+repository(g)+".")
}

// AccessFound tells that the member was there already and nothing was written.
func AccessFound(r Recorder, about, related runtime.Object, g *v1alpha1.PullAccessGrant) {
	emit(r, about, related, corev1.EventTypeNormal, v1alpha1.ReasonAlreadyThere, actionGrant,
		account(g)+" was already granted read access to repository "+repository(g)+"; nothing was written.")
}

// GrantRefused tells why the member could not be added.
func GrantRefused(r Recorder, about, related runtime.Object, reason, sentence string) {
	emit(r, about, related, corev1.EventTypeWarning, reason, actionGrant, sentence)
}

// AccessRevoked tells that the member was taken out of the repository's policy.
func AccessRevoked(r Recorder, about, related runtime.Object, g *v1alpha1.PullAccessGrant) {
	emit(r, about, related, corev1.EventTypeNormal, v1alpha1.ReasonRevoked, actionRevoke,
		"Took back the read access of "+account(g)+" to repository "+repository(g)+".")
}

// Restarted tells the owner of a workload that its stuck pods are replaced.
func Restarted(r Recorder, about, related runtime.Object, g *v1alpha1.PullAccessGrant) {
	emit(r, about, related, corev1.EventTypeNormal, "Restarted", actionRestart,
		"Restarted because its pods could not pull from repository "+repository(g)+", which "+account(g)+" may now read.")
}

// LeftToKubelet tells the owner of a workload why it is not restarted.
func LeftToKubelet(r Recorder, about, related runtime.Object, sentence string) {
	emit(r, about, related, corev1.EventTypeNormal, v1alpha1.ReasonLeftToKubelet, actionRestart, sentence)
}

// Recovered tells the owner of a workload that its pods have started.
func Recovered(r Recorder, about, related runtime.Object, g *v1alpha1.PullAccessGrant) {
	emit(r, about, related, corev1.EventTypeNormal, v1alpha1.ReasonRecovered, actionRecover,
		"Pods pull from repository "+repository(g)+" again and have started.")
}

// Ineffective tells that the grant did not help.
func Ineffective(r Recorder, about, related runtime.Object, sentence string) {
	emit(r, about, related, corev1.EventTypeWarning, v1alpha1.ReasonIneffective, actionRecover, sentence)
}

// PolicyTrouble tells the platform team what keeps a policy from working.
func PolicyTrouble(r Recorder, policy *v1alpha1.PullAccessPolicy, reason, sentence string) {
	emit(r, policy, nil, corev1.EventTypeWarning, reason, actionDiagnose, sentence)
}

func emit(r Recorder, about, related runtime.Object, kind, reason, action, note string) {
	if len(note) > maxNote {
		note = strings.ToValidUTF8(note[:maxNote-len("…")], "") + "…"
	}
	r.Eventf(about, related, kind, reason, action, "%s", note)
}

func account(g *v1alpha1.PullAccessGrant) string {
	const prefix = len("serviceAccount:")
	if len(g.Spec.Member) <= prefix {
		return "Nobody"
	}
	return "Service account " + g.Spec.Member[prefix:]
}

func repository(g *v1alpha1.PullAccessGrant) string {
	r := g.Spec.Repository
	return r.Project + "/" + r.Location + "/" + r.Name
}
