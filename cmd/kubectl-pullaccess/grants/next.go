// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/declaration"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/source"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
)

// step is something that a person can do, as a command to paste.
type step struct{ why, command string }

// next is what can be done about a grant in this state. Of names that are none
// nothing is offered: what is pasted is run by a shell.
func next(g *v1alpha1.PullAccessGrant, state string) []step {
	if !isName(g.Name) {
		return nil
	}
	var steps []step
	offer := func(why, command string) {
		if command != "" {
			steps = append(steps, step{why, command})
		}
	}
	offers := stepsOf[state]
	if offers == nil && !grantstatus.Ended(g) {
		offers = blocked
	}
	if offers != nil {
		offers(g, offer)
	}
	return steps
}

// stepsOf has what can be done in each state. Of those that are missing, those that
// have ended need nothing: a pod that cannot pull asks anew.
var stepsOf = map[string]func(*v1alpha1.PullAccessGrant, func(why, command string)){
	v1alpha1.ReasonWaitingForApproval: func(g *v1alpha1.PullAccessGrant, offer func(why, command string)) {
		offer("To allow it:", "kubectl pullaccess approve "+g.Name)
		offer("To refuse it:", "kubectl pullaccess deny "+g.Name)
	},
	grantstatus.StateGranted: inForce,
	v1alpha1.ReasonRevocationScheduled: func(g *v1alpha1.PullAccessGrant, offer func(why, command string)) {
		if g.Status.Ending != nil && g.Status.Ending.Reason == v1alpha1.EndPolicyGone {
			offer("To keep it, let a policy name its repository and account again:", "kubectl get pullaccesspolicies")
		}
		inForce(g, offer)
	},
	grantstatus.StateIneffective: func(g *v1alpha1.PullAccessGrant, offer func(why, command string)) {
		offer("To see what else blocks the pulls:", explain(g))
		inForce(g, offer)
	},
	grantstatus.StateRevoking: func(g *v1alpha1.PullAccessGrant, offer func(why, command string)) {
		if g.Status.RefusedRevocations > 0 {
			offer("Google refuses; who may can take the member out by hand:", declaration.Remove(g))
		}
	},
	string(v1alpha1.EndRemovedExternally): func(g *v1alpha1.PullAccessGrant, offer func(why, command string)) {
		offer("To see the policy of the repository:", declaration.Read(g))
		offer("To declare the member where the policy is declared (or -o config-connector, crossplane, gcloud):", "kubectl pullaccess grants "+g.Name+" -o terraform")
		forget(g, offer)
	},
	string(v1alpha1.EndDenied):           forget,
	string(v1alpha1.EndRevoked):          forget,
	grantstatus.StateApproved:            func(*v1alpha1.PullAccessGrant, func(why, command string)) {},
	v1alpha1.ReasonGranting:              func(*v1alpha1.PullAccessGrant, func(why, command string)) {},
	string(v1alpha1.LimitGrants):         limited,
	string(v1alpha1.LimitCircuitBreaker): limited,
	string(v1alpha1.EndPolicyGone):       unnamed,
	string(v1alpha1.EndLapsed):           func(*v1alpha1.PullAccessGrant, func(why, command string)) {},
	v1alpha1.ReasonNotRequested:          func(*v1alpha1.PullAccessGrant, func(why, command string)) {},
}

func inForce(g *v1alpha1.PullAccessGrant, offer func(why, command string)) {
	offer("To take it back:", "kubectl pullaccess revoke "+g.Name)
	if grantstatus.Stays(g) {
		offer("The operator leaves the member there; to take it out by hand, if nobody else needs it:", declaration.Remove(g))
	}
	offer("To make it last without the operator (or -o config-connector, crossplane, gcloud):", "kubectl pullaccess grants "+g.Name+" -o terraform")
}

func forget(g *v1alpha1.PullAccessGrant, offer func(why, command string)) {
	offer("It is not asked for again. To forget it, so that the next pod that cannot pull asks anew:", "kubectl delete pullaccessgrant "+g.Name)
}

func limited(g *v1alpha1.PullAccessGrant, offer func(why, command string)) {
	if policy := grantstatus.PolicyName(g); isName(policy) {
		offer("It goes on by itself when its policy's limit resets:", "kubectl describe pullaccesspolicy "+policy)
	}
}

// unnamed is for what no policy allows any more: to grant it by hand would be to go
// round them. What has ended for that needs nothing.
func unnamed(g *v1alpha1.PullAccessGrant, offer func(why, command string)) {
	if !grantstatus.Ended(g) {
		offer("No policy in force allows it; see which there are:", "kubectl get pullaccesspolicies")
	}
}

// blocked is for all else that keeps the operator from writing it.
func blocked(g *v1alpha1.PullAccessGrant, offer func(why, command string)) {
	offer("To see why the pods cannot pull:", explain(g))
	offer("To grant it by hand, for who may:", gcloud(g))
}

func gcloud(g *v1alpha1.PullAccessGrant) string {
	text, err := declaration.Of([]v1alpha1.PullAccessGrant{*g}, declaration.Gcloud)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(text)
}

// explain is the command that looks at the pods of the workload that asked for it.
func explain(g *v1alpha1.PullAccessGrant) string {
	w := g.Spec.Workload
	kind := strings.ToLower(w.Kind)
	if !slices.Contains(source.Types(), kind) || !isName(w.Namespace) || !isName(w.Name) {
		return ""
	}
	return "kubectl pullaccess explain " + kind + "/" + w.Name + " --namespace=" + w.Namespace
}

func isName(s string) bool { return len(validation.IsDNS1123Subdomain(s)) == 0 }
