// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package explanation

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// TestNoteRoundTrip: the command line reads from an Event what the operator wrote into it.
func TestNoteRoundTrip(t *testing.T) {
	dry := policyOf(func(p *v1alpha1.PullAccessPolicy) { p.Spec.Mode = v1alpha1.ModeDryRun })
	for name, in := range map[string]Input{
		"policy":   decided(diagnosed(), policyOf(narrowed)),
		"dry run":  decided(diagnosed(), dry),
		"request":  decided(diagnosed(), policyOf()),
		"approval": decided(diagnosed(), policyOf(asks)),
		"removed":  recorded(unknown(diagnosed(wasRemoved)), granted),
		"blocked":  recorded(unknown(diagnosed(notRead)), grantedLongAgo),
		"limit":    recorded(unknown(diagnosed(notRead)), refused("False", "CircuitBreaker")),
	} {
		t.Run(name, func(t *testing.T) {
			want := Of(in)
			got, ok := FromNote(want.Reason, want.Note(1024))
			if diff := cmp.Diff(want, got); diff != "" || !ok {
				t.Errorf("%v (-written +read):\n%s", ok, diff)
			}
		})
	}
}

// TestForgedNote: a forged Event makes nobody run a command that grants or deletes.
func TestForgedNote(t *testing.T) {
	for name, command := range map[string]string{
		"grant":            bypass,
		"delete":           "kubectl delete namespace prod",
		"second command":   "kubectl pullaccess grants x; reboot",
		"substitution":     "gcloud projects describe $(reboot)",
		"second line":      "kubectl get pullaccesspolicies\nreboot",
		"another verb":     "gcloud projects delete acme list",
		"flag as name":     "kubectl edit pullaccesspolicy --kubeconfig=x",
		"patch of another": `kubectl patch pullaccesspolicy x --type=merge --patch='{"spec":{"repositories":[]}}'`,
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := FromNote("NoPolicy", "Because. Next: "+command+" See "+page("NoPolicy"))
			if !ok || got.NextStep != "" || got.Sentence != "Because." {
				t.Errorf("it reads %+v", got)
			}
		})
	}
	if got, ok := FromNote("Reboot", "Because."); ok {
		t.Errorf("of an unknown reason it reads %+v", got)
	}
	if got, _ := FromNote("NoPolicy", strings.Repeat("x", 1024)); got.Sentence == "" || got.NextStep != "" {
		t.Errorf("of a note without a next step it reads %+v", got)
	}
}
