// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pause

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/exit"
)

func policy(name, reason string) *v1alpha1.PullAccessPolicy {
	p := &v1alpha1.PullAccessPolicy{}
	p.Name, p.Spec.Mode = name, v1alpha1.ModeEnforce
	if reason != "" {
		p.Spec.Pause = &v1alpha1.PauseSpec{Reason: reason}
	}
	return p
}

func kubernetes(t *testing.T, objects ...client.Object) client.WithWatch {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&v1alpha1.PullAccessPolicy{}).Build()
}

func run(t *testing.T, c client.Client, verb string, arguments ...string) (out, errOut string, err error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	o := &options{
		IOStreams: genericiooptions.IOStreams{In: strings.NewReader(""), Out: &stdout, ErrOut: &stderr},
		config:    genericclioptions.NewConfigFlags(false), connect: func() (client.Client, error) { return c, nil },
	}
	command := o.pauseCommand()
	if verb == "resume" {
		command = o.resumeCommand()
	}
	command.SetArgs(append([]string{}, arguments...))
	command.SilenceErrors, command.SilenceUsage = true, true
	err = command.ExecuteContext(t.Context())
	return stdout.String(), stderr.String(), err
}

func reason(t *testing.T, c client.Client, name string) string {
	t.Helper()
	p := &v1alpha1.PullAccessPolicy{}
	if err := c.Get(t.Context(), types.NamespacedName{Name: name}, p); err != nil {
		t.Fatal(err)
	}
	if p.Spec.Mode != v1alpha1.ModeEnforce {
		t.Errorf("the mode of %s is %q", name, p.Spec.Mode)
	}
	if p.Spec.Pause == nil {
		return ""
	}
	return p.Spec.Pause.Reason
}

func TestPauseAndResume(t *testing.T) {
	tests := map[string]struct {
		// was is the reason for which the policy is paused before, want after.
		was       string
		verb      string
		arguments []string
		out, want string
	}{
		"pause":           {"", "pause", []string{"--reason", "moving"}, "paused\n", "moving"},
		"pause again":     {"first", "pause", []string{"--reason", "moving"}, "is already paused (first)\n", "first"},
		"pause, not kept": {"", "pause", []string{"--reason", "moving", "--dry-run=server"}, "paused (server dry run)\n", ""},
		"resume":          {"fi\x1brst", "resume", nil, "resumed (it was paused: fi\ufffdrst)\n", ""},
		"resume again":    {"", "resume", nil, "is not paused\n", ""},
		"resume, in vain": {"first", "resume", []string{"--dry-run=server"}, "resumed (it was paused: first) (server dry run)\n", "first"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := kubernetes(t, policy("prod", tc.was))
			out, errOut, err := run(t, c, tc.verb, append([]string{"prod"}, tc.arguments...)...)
			if err != nil || errOut != "" {
				t.Fatalf("got %v, %q", err, errOut)
			}
			if want := "pullaccesspolicy.pullaccess.dev/prod " + tc.out; out != want {
				t.Errorf("it says %q, want %q", out, want)
			}
			if got := reason(t, c, "prod"); got != tc.want {
				t.Errorf("it is paused for %q, want %q", got, tc.want)
			}
		})
	}
}

// TestSeveral: one that is not there keeps no other from being paused.
func TestSeveral(t *testing.T) {
	c := kubernetes(t, policy("a", ""), policy("b", ""))
	out, errOut, err := run(t, c, "pause", "a", "none", "b", "--reason=r")
	if exit.Code(err) != exit.Usage || !exit.Silent(err) {
		t.Errorf("it ends with %v", err)
	}
	if out != "pullaccesspolicy.pullaccess.dev/a paused\npullaccesspolicy.pullaccess.dev/b paused\n" || errOut != "error: pullaccesspolicies.pullaccess.dev \"none\" not found\n" {
		t.Errorf("it says %q, %q", out, errOut)
	}
}

// TestForbiddenOne: whoever may pause only some policies, by their names, pauses those.
func TestForbiddenOne(t *testing.T) {
	c := kubernetes(t, policy("a", ""), policy("b", ""))
	narrow := interceptor.NewClient(c, interceptor.Funcs{Get: func(ctx context.Context, inner client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
		if key.Name == "a" {
			return apierrors.NewForbidden(schema.GroupResource{Group: "pullaccess.dev", Resource: "pullaccesspolicies"}, "a", errors.New("no"))
		}
		return inner.Get(ctx, key, o, options...)
	}})
	_, errOut, err := run(t, narrow, "pause", "a", "b", "--reason=r")
	if exit.Code(err) != exit.Unreachable || !strings.Contains(errOut, "forbidden") || strings.Contains(errOut, "Not asked for") {
		t.Errorf("it ends with %v and says %q", err, errOut)
	}
	if reason(t, c, "a") != "" || reason(t, c, "b") != "r" {
		t.Error("it has not gone on to the one that may be paused")
	}
}

// TestPatch: all that is sent is the pause, for the version that was read; what has
// been written in between is read anew.
func TestPatch(t *testing.T) {
	c, tries := kubernetes(t, policy("prod", "first")), 0
	var sent []map[string]any
	watched := interceptor.NewClient(c, interceptor.Funcs{Patch: func(ctx context.Context, inner client.WithWatch, o client.Object, patch client.Patch, options ...client.PatchOption) error {
		data, err := patch.Data(o)
		if err != nil {
			t.Fatal(err)
		}
		var one map[string]any
		if err := json.Unmarshal(data, &one); err != nil {
			t.Fatal(err)
		}
		sent = append(sent, one)
		if tries++; tries == 1 {
			other := policy("prod", "second")
			other.ResourceVersion = o.GetResourceVersion()
			if err := inner.Update(ctx, other); err != nil {
				t.Fatal(err)
			}
		}
		return inner.Patch(ctx, o, patch, options...)
	}})
	out, _, err := run(t, watched, "resume", "prod")
	if err != nil || out != "pullaccesspolicy.pullaccess.dev/prod resumed (it was paused: second)\n" {
		t.Errorf("it ends with %v and says %q", err, out)
	}
	for _, one := range sent {
		delete(one, "metadata")
	}
	patch := map[string]any{"spec": map[string]any{"pause": nil}}
	if diff := cmp.Diff([]map[string]any{patch, patch}, sent); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
}

func TestRefusals(t *testing.T) {
	policies := schema.GroupResource{Group: "pullaccess.dev", Resource: "pullaccesspolicies"}
	tests := map[string]struct {
		verb      string
		arguments []string
		fault     error
		code      int
		words     string
	}{
		"no name":     {"pause", []string{"--reason=r"}, nil, exit.Usage, "give the NAME of a policy"},
		"no reason":   {"pause", []string{"prod"}, nil, exit.Usage, "give --reason TEXT"},
		"blank":       {"pause", []string{"prod", "--reason= "}, nil, exit.Usage, "give --reason TEXT"},
		"long reason": {"pause", []string{"prod", "--reason", strings.Repeat("a", 257)}, nil, exit.Usage, "want at most 256"},
		"twice":       {"resume", []string{"prod", "prod"}, nil, exit.Usage, "named twice"},
		"dry run":     {"resume", []string{"prod", "--dry-run=yes"}, nil, exit.Usage, "none or server"},
		"forbidden":   {"pause", []string{"prod", "--reason=r"}, apierrors.NewForbidden(policies, "prod", errors.New("no")), exit.Unreachable, "forbidden"},
		"gone":        {"pause", []string{"prod", "--reason=r"}, errors.New("refused"), exit.Unreachable, "error: prod: the cluster gives no answer: refused"},
		"conflicts":   {"pause", []string{"prod", "--reason=r"}, apierrors.NewConflict(policies, "prod", errors.New("no")), exit.Unreachable, "others keep writing to it"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := kubernetes(t, policy("prod", ""))
			faulty := interceptor.NewClient(c, interceptor.Funcs{Patch: func(ctx context.Context, inner client.WithWatch, o client.Object, patch client.Patch, options ...client.PatchOption) error {
				if tc.fault != nil {
					return tc.fault
				}
				return inner.Patch(ctx, o, patch, options...)
			}})
			out, errOut, err := run(t, faulty, tc.verb, tc.arguments...)
			if out != "" || err == nil || exit.Code(err) != tc.code || !strings.Contains(errOut+err.Error(), tc.words) {
				t.Errorf("it ends with %v and says %q, %q, want %q", err, out, errOut, tc.words)
			}
			if got := reason(t, c, "prod"); got != "" {
				t.Errorf("it is paused for %q", got)
			}
		})
	}
}
