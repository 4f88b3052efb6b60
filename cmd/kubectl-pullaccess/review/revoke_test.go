// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package review

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/exit"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/golden"
)

// TestRevoke takes one grant back, as the operator comes to act on it.
func TestRevoke(t *testing.T) {
	tests := map[string]struct {
		status []status
		out    string
		said   string
	}{
		"granted":          {[]status{granted}, "revoked: gke-nodes@acme-prod-417.iam.gserviceaccount.com on acme-images-306/us-central1/services, for Deployment shop/web\n", "Revoked " + ada + " moved"},
		"not written yet":  {nil, "for Deployment shop/web; nothing was written\n", "Revoked " + ada + " moved"},
		"limited":          {[]status{limited}, "for Deployment shop/web; nothing was written\n", "Revoked " + ada + " moved"},
		"refused":          {[]status{forbidden}, "for Deployment shop/web; nothing was written\n", "Revoked " + ada + " moved"},
		"interrupted":      {[]status{interrupted}, "for Deployment shop/web\n", "Revoked " + ada + " moved"},
		"found":            {[]status{found}, "; the member stays: the operator found it there", "Revoked " + ada + " moved"},
		"several clusters": {[]status{severalClusters}, "; the member stays: other clusters may use the account", "Revoked " + ada + " moved"},
		"waiting":          {[]status{waiting}, "denied", "Denied " + ada + " moved"},
		"approved, unread": {[]status{waiting, word(v1alpha1.ReviewApproved, "bob", "yes")}, "revoked", "Revoked " + ada + " moved"},
		"revoked, unread":  {[]status{granted, word(v1alpha1.ReviewRevoked, "bob", "")}, "revoked", "Revoked bob"},
		"denied, unread":   {[]status{waiting, word(v1alpha1.ReviewDenied, "bob", "")}, "denied", "Denied bob"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, grantOf("services", tc.status...))
			w.operator = func(turn int) {
				if turn == 3 {
					w.end("services")
				}
			}
			out, errOut, err := w.run("revoke", "services", "--reason=moved")
			if err != nil {
				t.Fatalf("got %v, %q", err, errOut)
			}
			wantWords(t, "output", out, "pullaccessgrant.pullaccess.dev/services ", tc.out)
			if want := "Waiting up to 5m0s for 1 grant to end.\n"; errOut != want {
				t.Errorf("it says %q, want %q", errOut, want)
			}
			if got := w.said("services"); got != tc.said {
				t.Errorf("the record has %q, want %q", got, tc.said)
			}
		})
	}
}

func TestRevokeWithoutWaiting(t *testing.T) {
	tests := map[string]struct {
		status    []status
		arguments []string
		out, said string
	}{
		"granted":       {[]status{granted}, []string{"--wait=false"}, "is to be revoked: gke-nodes@", "Revoked " + ada},
		"waiting":       {[]status{waiting}, []string{"--wait=false"}, "denied: ", "Denied " + ada},
		"found":         {[]status{found}, []string{"--wait=false"}, "; the member stays: ", "Revoked " + ada},
		"going already": {[]status{granted, word(v1alpha1.ReviewRevoked, "bob", "")}, []string{"--wait=false"}, "is being taken back already\n", "Revoked bob"},
		"limited":       {[]status{limited}, []string{"--wait=false"}, "is to be revoked: gke-nodes@acme-prod-417.iam.gserviceaccount.com on acme-images-306/us-central1/services, for Deployment shop/web; nothing was written\n", "Revoked " + ada},
		"dry run":       {[]status{granted}, []string{"--dry-run=server"}, " (server dry run)\n", ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, grantOf("services", tc.status...))
			out, errOut, err := w.run("revoke", append([]string{"services"}, tc.arguments...)...)
			if err != nil || errOut != "" {
				t.Fatalf("got %v, %q", err, errOut)
			}
			wantWords(t, "output", out, "pullaccessgrant.pullaccess.dev/services ", tc.out)
			if got := w.said("services"); got != tc.said {
				t.Errorf("the record has %q, want %q", got, tc.said)
			}
		})
	}
}

// TestRevokeEnded: what has ended is not said to have been revoked.
func TestRevokeEnded(t *testing.T) {
	w := newWorld(t, grantOf("a", granted, ended(v1alpha1.EndExpired)), grantOf("b", granted))
	w.operator = func(int) { w.end("b") }
	out, errOut, err := w.run("revoke", "a", "none", "b")
	if exit.Code(err) != exit.Usage || !exit.Silent(err) {
		t.Errorf("it ends with %v", err)
	}
	wantWords(t, "output", out, "/b revoked")
	wantWords(t, "error output", errOut, "error: a: it has ended already (Expired) at 2026-11-01T03:00:00Z", `"none" not found`)
	if w.said("a") != "" {
		t.Error("a word was put on what has ended")
	}
}

// everything is a cluster in which grants stand in all ways.
func everything() []client.Object {
	at := metav1.NewTime(now)
	deleted := grantOf("leaving", granted)
	deleted.DeletionTimestamp, deleted.Finalizers = &at, []string{v1alpha1.Finalizer}
	shared := grantOf("services", granted)
	shared.Status.Workloads = []v1alpha1.WorkloadStatus{{Policy: "prod"}, {Policy: "other"}}
	other := grantOf("web", granted)
	other.Spec.Policy = "other"
	other.Spec.Member = "serviceAccount:gke-web@acme-prod-417.iam.gserviceaccount.com"
	return []client.Object{
		shared, other, deleted, grantOf("base", found), grantOf("tools", severalClusters), grantOf("ledger", waiting),
		grantOf("new"), grantOf("limited", limited), grantOf("torn", interrupted), grantOf("gone", granted, ended(v1alpha1.EndExpired)), grantOf("told", granted, word(v1alpha1.ReviewRevoked, "bob", "")),
		policyOf("prod", v1alpha1.ModeEnforce, nil), policyOf("asks", v1alpha1.ModeApprove, nil), policyOf("dry", v1alpha1.ModeDryRun, nil),
		policyOf("held", v1alpha1.ModeEnforce, &v1alpha1.PauseSpec{Reason: "r"}),
	}
}

func TestGoldenSummary(t *testing.T) {
	for file, arguments := range map[string][]string{"all": {"--all"}, "policy": {"--all", "--policy=prod"}} {
		w := newWorld(t, everything()...)
		w.terminal = true
		out, errOut, err := w.run("revoke", arguments...)
		if exit.Code(err) != exit.Usage || exit.Silent(err) || out != "" || !strings.Contains(err.Error(), "nothing was taken back") {
			t.Errorf("it ends with %v and says %q", err, out)
		}
		golden.Check(t, "testdata/"+file+".golden", errOut)
		if w.said("services")+w.said("ledger") != "" {
			t.Error("it has written before it had an answer")
		}
	}
}

// TestQuestion: nothing but y or yes takes anything back.
func TestQuestion(t *testing.T) {
	for answer, yes := range map[string]bool{
		"": false, "\n": false, "n\n": false, "no\n": false, "yn\n": false, "ok\n": false, "j\n": false,
		"y\n": true, "Y\n": true, "yes \r\n": true, "YES": true,
	} {
		w := newWorld(t, grantOf("a", granted))
		w.stdin, w.terminal = answer, true
		_, errOut, err := w.run("revoke", "--all", "--wait=false")
		wantWords(t, "error output", errOut, "Take back 1 grant? [y/N] ")
		if (err == nil) != yes || (w.said("a") != "") != yes {
			t.Errorf("%q ends with %v, and the record has %q", answer, err, w.said("a"))
		}
	}
}

func TestRevokeAll(t *testing.T) {
	w := newWorld(t, everything()...)
	w.operator = func(turn int) {
		switch turn {
		case 1:
			for _, name := range []string{"services", "web", "base", "tools", "ledger", "new", "limited", "torn", "told"} {
				w.end(name)
			}
		case 2:
			g := w.grant("leaving")
			g.Finalizers = nil
			if err := w.client.Update(w.Context(), g); err != nil {
				t.Fatal(err)
			}
		}
	}
	out, errOut, err := w.run("revoke", "--all", "--yes", "--reason=uninstall")
	if err != nil {
		t.Fatalf("got %v\n%s", err, errOut)
	}
	wantWords(t, "output", out, "/services revoked: ", "/web revoked: ", "/ledger denied: ", "/new revoked: ", "/limited revoked: ", "/torn revoked: ", "/told revoked: ", "/leaving is gone\n",
		"for Deployment shop/web; the member stays: the operator found it there\n", "; the member stays: other clusters may use the account\n")
	if strings.Contains(out, "/gone ") || strings.Contains(errOut, "[y/N]") {
		t.Errorf("it says\n%s%s", out, errOut)
	}
	if got, want := w.said("ledger"), "Denied "+ada+" uninstall"; got != want {
		t.Errorf("what waited has %q, want %q", got, want)
	}
	out, errOut, err = w.run("revoke", "--all", "--yes")
	if err != nil || out != "No grant is there to be taken back.\n" {
		t.Errorf("run again it ends with %v and says %q, %q", err, out, errOut)
	}
	out, _, err = w.run("revoke", "--all", "--yes", "--policy=none")
	if err != nil || out != "No grant of policy none is there to be taken back.\n" {
		t.Errorf("of a policy without grants it ends with %v and says %q", err, out)
	}
}

// TestRevokeAllGoesOn: a grant that the API server refuses keeps no other from being
// taken back, whoever may touch only some by their names.
func TestRevokeAllGoesOn(t *testing.T) {
	w := newWorld(t, grantOf("a", granted), grantOf("b", limited), grantOf("c", granted))
	w.faults.SubResourcePatch = func(ctx context.Context, inner client.Client, resource string, o client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
		if o.GetName() == "a" {
			return apierrors.NewForbidden(grants, "a", errors.New("it takes the verb revoke"))
		}
		return inner.SubResource(resource).Patch(ctx, o, patch, options...)
	}
	_, errOut, err := w.run("revoke", "--all", "--yes", "--wait=false")
	if exit.Code(err) != exit.Unreachable {
		t.Errorf("it ends with %v", err)
	}
	wantWords(t, "error output", errOut, "it takes the verb revoke")
	if w.said("a") != "" || w.said("b") == "" || w.said("c") == "" || strings.Contains(errOut, "Not asked for") {
		t.Errorf("it has not gone on, and says %q", errOut)
	}
}

// TestRevokeAllOfPolicy leaves the grants of other policies alone.
func TestRevokeAllOfPolicy(t *testing.T) {
	w := newWorld(t, everything()...)
	if _, errOut, err := w.run("revoke", "--all", "--yes", "--policy=other", "--wait=false"); err != nil {
		t.Fatalf("got %v, %q", err, errOut)
	}
	if w.said("web") == "" || w.said("services") != "" {
		t.Error("other grants were revoked than those of the policy")
	}
}

// TestPoliciesUnread: who may not read policies can take grants back all the same.
func TestPoliciesUnread(t *testing.T) {
	w := newWorld(t, everything()...)
	w.faults.List = func(ctx context.Context, inner client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
		if _, ok := list.(*v1alpha1.PullAccessPolicyList); ok {
			return apierrors.NewForbidden(grants, "", errors.New("no"))
		}
		return inner.List(ctx, list, options...)
	}
	_, errOut, err := w.run("revoke", "--all", "--yes", "--wait=false")
	if err != nil {
		t.Fatal(err)
	}
	wantWords(t, "error output", errOut, "Note: whether policies are in force, and other access can be asked for, is not known: ")
}

// TestManyAreListedInPart: a summary stays readable.
func TestManyAreListedInPart(t *testing.T) {
	var objects []client.Object
	for i := range listed + 5 {
		objects = append(objects, grantOf(fmt.Sprint("g", i), granted))
	}
	w := newWorld(t, objects...)
	_, errOut, err := w.run("revoke", "--all", "--yes", "--timeout=2s")
	if !errors.Is(err, exit.ErrLeft) {
		t.Fatal(err)
	}
	wantWords(t, "error output", errOut, "… and 5 more\n", "  25 taken out\n", "  … and 5 more\n")
}

// TestGoldenRefused: Google refuses; the wait ends, and it is said why and how to go on.
func TestGoldenRefused(t *testing.T) {
	w := newWorld(t, grantOf("services", granted), grantOf("web", granted))
	w.operator = func(turn int) {
		if turn == 1 {
			w.end("web")
		}
		w.change("services", func(g *v1alpha1.PullAccessGrant) {
			g.Status.RefusedRevocations++
			is(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonCloudForbidden, "The operator may not change the policy of the repository.")(g)
		})
	}
	out, errOut, err := w.run("revoke", "services", "web", "--timeout", "10s")
	if exit.Code(err) != exit.Failures || !exit.Silent(err) {
		t.Errorf("it ends with %v", err)
	}
	wantWords(t, "output", out, "/web revoked: ")
	golden.Check(t, "testdata/refused.golden", errOut)
	if got := w.clock.Now().Sub(now); got != 10*time.Second {
		t.Errorf("it has waited %s", got)
	}
}

// TestInterrupt: Ctrl-C says what is left, whether it comes while it waits or while it writes.
func TestInterrupt(t *testing.T) {
	w := newWorld(t, grantOf("a", granted), grantOf("b", granted))
	w.interrupt = 2
	w.operator = func(turn int) {
		if turn == 1 {
			w.end("a")
		}
	}
	out, errOut, err := w.run("revoke", "a", "b")
	if exit.Code(err) != exit.Failures || !exit.Silent(err) {
		t.Errorf("it ends with %v", err)
	}
	wantWords(t, "output", out, "/a revoked")
	wantWords(t, "error output", errOut, "Interrupted.\nNot taken back yet: 1 grant. The operator goes on by itself", "  b (Revoking)\n")
}

func TestInterruptedWhileWriting(t *testing.T) {
	w := newWorld(t, grantOf("a", granted), grantOf("b", granted), grantOf("c", granted))
	w.faults.SubResourcePatch = func(ctx context.Context, inner client.Client, resource string, o client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
		if o.GetName() == "b" {
			return context.Canceled
		}
		return inner.SubResource(resource).Patch(ctx, o, patch, options...)
	}
	w.faults.Get = func(ctx context.Context, inner client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
		return errors.Join(ctx.Err(), inner.Get(context.WithoutCancel(ctx), key, o, options...))
	}
	w.interrupt = 1
	out, errOut, err := w.run("revoke", "a", "b", "c")
	if exit.Code(err) != exit.Failures {
		t.Errorf("it ends with %v, %q", err, out)
	}
	wantWords(t, "error output", errOut, "Interrupted.", "Not asked for, or without an answer: 2 grants.", "  a (Revoking)\n")
	if w.said("c") != "" {
		t.Error("it has gone on writing")
	}
}

// TestClusterGoesAway: a look that gets no answer is tried again, and a refusal ends the wait.
func TestClusterGoesAway(t *testing.T) {
	tests := map[string]struct {
		fault error
		// looks are those that fail; the first reads for the write.
		looks  int
		code   int
		errOut string
	}{
		"comes back": {errors.New("refused"), 3, exit.OK, ""},
		"stays away": {errors.New("refused"), 99, exit.Failures, "error: the cluster gives no answer: refused\n"},
		"forbidden":  {apierrors.NewForbidden(grants, "a", errors.New("no")), 99, exit.Failures, "forbidden"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, grantOf("a", granted))
			looks := 0
			w.faults.Get = func(ctx context.Context, inner client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
				if looks++; looks > 1 && looks <= 1+tc.looks {
					return tc.fault
				}
				return inner.Get(ctx, key, o, options...)
			}
			w.operator = func(turn int) {
				if turn == 2 {
					w.end("a")
				}
			}
			_, errOut, err := w.run("revoke", "a", "--timeout=10s")
			if exit.Code(err) != tc.code || !strings.Contains(errOut, tc.errOut) {
				t.Errorf("it ends with %v and says %q", err, errOut)
			}
		})
	}
}
