// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package review

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/cluster"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/exit"
)

var grants = schema.GroupResource{Group: "pullaccess.dev", Resource: "pullaccessgrants"}

func TestAnswer(t *testing.T) {
	const what = ": gke-nodes@acme-prod-417.iam.gserviceaccount.com on acme-images-306/us-central1/services, for Deployment shop/web, under policy prod"
	tests := map[string]struct {
		verb      string
		arguments []string
		out, said string
	}{
		"approve":         {"approve", nil, "approved" + what + "\n", "Approved " + ada},
		"with a reason":   {"approve", []string{"--reason", "release 1.8"}, "approved" + what + "\n", "Approved " + ada + " release 1.8"},
		"deny":            {"deny", []string{"--reason=no"}, "denied" + what + "\n", "Denied " + ada + " no"},
		"asked, not kept": {"approve", []string{"--dry-run=server"}, "approved" + what + " (server dry run)\n", ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, grantOf("services", waiting))
			out, errOut, err := w.run(tc.verb, append([]string{"services"}, tc.arguments...)...)
			if err != nil || errOut != "" {
				t.Fatalf("got %v, %q", err, errOut)
			}
			if want := "pullaccessgrant.pullaccess.dev/services " + tc.out; out != want {
				t.Errorf("it says\n%swant\n%s", out, want)
			}
			if got := w.said("services"); got != tc.said {
				t.Errorf("the record has %q, want %q", got, tc.said)
			}
		})
	}
}

// TestAnswerRefusals: whatever does not wait is neither approved nor denied, and it is said why.
func TestAnswerRefusals(t *testing.T) {
	lapsed := func(g *v1alpha1.PullAccessGrant) {
		waiting(g)
		g.Status.Proposal.LapseTime = metav1.NewTime(now)
	}
	deleted := func(g *v1alpha1.PullAccessGrant) {
		at := metav1.NewTime(now)
		g.DeletionTimestamp, g.Finalizers = &at, []string{v1alpha1.Finalizer}
	}
	byBob := func(d v1alpha1.ReviewDecision) status { return word(d, "bob@example.com", "why\x1b") }
	tests := map[string]struct {
		status []status
		words  string
	}{
		"zero":              {nil, "it is not waiting for approval: it is Granting"},
		"enforced":          {[]status{granted}, "it is not waiting for approval, and needs none: policy prod is in mode Enforce (it is Granted)"},
		"approved, unread":  {[]status{waiting, byBob(v1alpha1.ReviewApproved)}, "it was already approved by bob@example.com (why\ufffd)"},
		"approved, written": {[]status{granted, byBob(v1alpha1.ReviewApproved)}, "it was already approved by bob@example.com"},
		"approved, expired": {[]status{granted, byBob(v1alpha1.ReviewApproved), ended(v1alpha1.EndExpired)}, "it has ended (Expired) at 2026-11-01T03:00:00Z"},
		"denied, unread":    {[]status{waiting, byBob(v1alpha1.ReviewDenied)}, "it was already denied by bob@example.com"},
		"denied":            {[]status{waiting, byBob(v1alpha1.ReviewDenied), ended(v1alpha1.EndDenied)}, "it was already denied by bob@example.com"},
		"revoked":           {[]status{granted, byBob(v1alpha1.ReviewRevoked), ended(v1alpha1.EndRevoked)}, "it was already revoked by bob@example.com"},
		"lapsed, unread":    {[]status{lapsed}, "it has lapsed: nobody answered by 2026-11-01T03:00:00Z"},
		"lapsed":            {[]status{waiting, ended(v1alpha1.EndLapsed)}, "it has ended (Lapsed)"},
		"void":              {[]status{waiting, ended(v1alpha1.EndPolicyChanged)}, "it has ended (PolicyChanged)"},
		"being deleted":     {[]status{waiting, deleted}, "it is being deleted"},
	}
	for name, tc := range tests {
		for _, verb := range []string{"approve", "deny"} {
			t.Run(verb+" "+name, func(t *testing.T) {
				w := newWorld(t, grantOf("services", tc.status...))
				before := w.said("services")
				out, errOut, err := w.run(verb, "services")
				if exit.Code(err) != exit.Usage || !exit.Silent(err) || out != "" {
					t.Errorf("it ends with %v and says %q", err, out)
				}
				wantWords(t, "error output", errOut, "error: services: ", tc.words)
				if strings.ContainsRune(errOut, '\x1b') {
					t.Error("it carries control characters")
				}
				if got := w.said("services"); got != before {
					t.Errorf("the record has %q, had %q", got, before)
				}
			})
		}
	}
}

// TestAnswerSeveral: one that is refused keeps no other from being approved.
func TestAnswerSeveral(t *testing.T) {
	w := newWorld(t, grantOf("a", waiting), grantOf("b", granted), grantOf("c", waiting))
	out, errOut, err := w.run("approve", "a", "none", "b", "c")
	if exit.Code(err) != exit.Usage {
		t.Errorf("it ends with %v", err)
	}
	wantWords(t, "output", out, "/a approved", "/c approved")
	wantWords(t, "error output", errOut, `pullaccessgrants.pullaccess.dev "none" not found`, "error: b: it is not waiting")
	if w.said("a") == "" || w.said("b") != "" || w.said("c") == "" {
		t.Error("other grants were approved than those that wait")
	}
}

// TestPatch: all that is sent is the word, for the version that was read.
func TestPatch(t *testing.T) {
	w := newWorld(t, grantOf("services", waiting, word("", "", "")))
	w.change("services", func(g *v1alpha1.PullAccessGrant) { g.Status.Review = nil })
	version := w.grant("services").ResourceVersion
	var sent map[string]any
	w.faults.SubResourcePatch = func(_ context.Context, _ client.Client, resource string, o client.Object, patch client.Patch, _ ...client.SubResourcePatchOption) error {
		data, err := patch.Data(o)
		if err != nil || resource != "status" {
			t.Errorf("patch of %s: %v", resource, err)
		}
		return json.Unmarshal(data, &sent)
	}
	if _, errOut, err := w.run("approve", "services"); err != nil {
		t.Fatal(err, errOut)
	}
	want := map[string]any{
		"metadata": map[string]any{"resourceVersion": version},
		"status":   map[string]any{"review": map[string]any{"decision": "Approved", "user": ada}},
	}
	if diff := cmp.Diff(want, sent); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
}

// TestConflict: a write of the operator's in between has the grant be judged anew.
func TestConflict(t *testing.T) {
	tests := map[string]struct {
		// between is what the operator writes before each of the first patches arrives.
		between status
		patches int
		code    int
		errOut  string
		said    string
	}{
		"no matter":      {func(g *v1alpha1.PullAccessGrant) { g.Status.RecoveredWorkloads++ }, 1, exit.OK, "", "Approved " + ada},
		"lapsed":         {ended(v1alpha1.EndLapsed), 1, exit.Usage, "it has ended (Lapsed)", ""},
		"answered":       {word(v1alpha1.ReviewDenied, "bob", ""), 1, exit.Usage, "it was already denied by bob", "Denied bob"},
		"proposed anew":  {func(g *v1alpha1.PullAccessGrant) { g.Status.Proposal.PolicyGeneration++ }, 1, exit.Usage, "asked for anew", ""},
		"again and on":   {func(g *v1alpha1.PullAccessGrant) { g.Status.RecoveredWorkloads++ }, 99, exit.Unreachable, "others keep writing", ""},
		"several, then ": {func(g *v1alpha1.PullAccessGrant) { g.Status.RecoveredWorkloads++ }, cluster.Attempts - 1, exit.OK, "", "Approved " + ada},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, grantOf("services", waiting))
			left := tc.patches
			w.faults.SubResourcePatch = func(ctx context.Context, inner client.Client, resource string, o client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
				if left--; left >= 0 {
					w.change("services", tc.between)
				}
				return inner.SubResource(resource).Patch(ctx, o, patch, options...)
			}
			_, errOut, err := w.run("approve", "services")
			if exit.Code(err) != tc.code {
				t.Errorf("it ends with %v, %q, want %d", err, errOut, tc.code)
			}
			if !strings.Contains(errOut, tc.errOut) || tc.errOut == "" && errOut != "" {
				t.Errorf("it says %q, want %q", errOut, tc.errOut)
			}
			if got := w.said("services"); got != tc.said {
				t.Errorf("the record has %q, want %q", got, tc.said)
			}
		})
	}
}

// TestClusterRefuses: what the API server does not take is its own word; only one that
// does not answer keeps the rest from being asked for.
func TestClusterRefuses(t *testing.T) {
	tests := map[string]struct {
		fault error
		words []string
		// goesOn tells whether the grant after the one that fails is approved.
		goesOn bool
	}{
		"forbidden": {apierrors.NewForbidden(grants, "a", errors.New("it takes the verb approve")), []string{"it takes the verb approve"}, true},
		"contended": {apierrors.NewConflict(grants, "a", errors.New("no")), []string{"error: a: others keep writing to it"}, true},
		"gone":      {errors.New("refused"), []string{"error: a: the cluster gives no answer: refused", "Not asked for: 1 more."}, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, grantOf("a", waiting), grantOf("b", waiting))
			w.faults.SubResourcePatch = func(ctx context.Context, inner client.Client, resource string, o client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
				if o.GetName() == "a" {
					return tc.fault
				}
				return inner.SubResource(resource).Patch(ctx, o, patch, options...)
			}
			_, errOut, err := w.run("approve", "a", "b")
			if exit.Code(err) != exit.Unreachable || !exit.Silent(err) {
				t.Errorf("it ends with %v", err)
			}
			wantWords(t, "error output", errOut, tc.words...)
			if (w.said("b") != "") != tc.goesOn || strings.Contains(errOut, "Not asked for") == tc.goesOn {
				t.Errorf("the other has %q, and it says %q", w.said("b"), errOut)
			}
		})
	}
}

// TestNobody: where the API server does not say who asks, nothing is written.
func TestNobody(t *testing.T) {
	for name, fault := range map[string]error{"": nil, "no": apierrors.NewForbidden(schema.GroupResource{Resource: "selfsubjectreviews"}, "", errors.New("no"))} {
		w := newWorld(t, grantOf("a", waiting))
		w.faults.Create = func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error { return fault }
		_, _, err := w.run("approve", "a")
		if exit.Code(err) != exit.Unreachable || !strings.Contains(err.Error(), "ask the cluster who you are: ") || !strings.Contains(err.Error(), name) {
			t.Errorf("it ends with %v", err)
		}
		if w.said("a") != "" {
			t.Error("a word was written for nobody")
		}
	}
}

func TestWrongUse(t *testing.T) {
	tests := map[string]struct {
		verb      string
		arguments []string
		words     string
	}{
		"no name":            {"approve", nil, "give the NAME of a grant: kubectl pullaccess grants --waiting"},
		"empty name":         {"deny", []string{"a", ""}, "NAME 2 of 2 is empty"},
		"twice":              {"approve", []string{"a", "b", "a"}, `"a" is named twice`},
		"long reason":        {"deny", []string{"a", "--reason", strings.Repeat("ä", 257)}, "--reason has 257 characters, want at most 256"},
		"dry run":            {"approve", []string{"a", "--dry-run=client"}, `--dry-run is "client", want none or server`},
		"nothing to revoke":  {"revoke", nil, "give the NAME of a grant, or --all"},
		"both":               {"revoke", []string{"a", "--all"}, "not both"},
		"policy, not all":    {"revoke", []string{"a", "--policy=p"}, "add --all"},
		"no time":            {"revoke", []string{"a", "--timeout=0s"}, "--timeout is 0s"},
		"revoke twice":       {"revoke", []string{"a", "a"}, "named twice"},
		"nobody to ask":      {"revoke", []string{"--all"}, "add --yes"},
		"revoke long reason": {"revoke", []string{"a", "--reason", strings.Repeat("a", 300)}, "300 characters"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, grantOf("a", waiting))
			out, _, err := w.run(tc.verb, tc.arguments...)
			if exit.Code(err) != exit.Usage || exit.Silent(err) || out != "" || !strings.Contains(err.Error(), tc.words) {
				t.Errorf("it ends with %v, %q, want %q", err, out, tc.words)
			}
			if w.said("a") != "" {
				t.Error("it has written")
			}
		})
	}
}
