// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/yaml"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/declaration"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/exit"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/golden"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/report"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
)

var now = time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC)

func examples(t *testing.T) []client.Object {
	t.Helper()
	text, err := os.ReadFile("testdata/grants.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all []client.Object
	for _, part := range strings.Split(string(text), "\n---\n") {
		var g v1alpha1.PullAccessGrant
		if err := yaml.UnmarshalStrict([]byte(part), &g); err != nil {
			t.Fatal(err)
		}
		all = append(all, &g)
	}
	return all
}

func kubernetes(t *testing.T, objects ...client.Object) client.WithWatch {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
}

// run runs the verb on the cluster.
func run(t *testing.T, c client.Client, arguments ...string) (out, errOut string, err error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	o := &options{
		IOStreams: genericiooptions.IOStreams{In: strings.NewReader(""), Out: &stdout, ErrOut: &stderr},
		clock:     clocktesting.NewFakePassiveClock(now), config: genericclioptions.NewConfigFlags(false),
		connect: func() (client.Client, error) { return c, nil },
	}
	verb := o.command()
	verb.SetArgs(append([]string{}, arguments...))
	verb.SilenceErrors, verb.SilenceUsage = true, true
	err = verb.ExecuteContext(t.Context())
	return stdout.String(), stderr.String(), err
}

func TestGoldenList(t *testing.T) {
	for _, format := range formats() {
		t.Run(format, func(t *testing.T) {
			got, errOut, err := run(t, kubernetes(t, examples(t)...), "-o", format)
			if err != nil {
				t.Fatal(err)
			}
			golden.Check(t, filepath.Join("testdata", "list."+format+".golden"), got)
			if strings.ContainsAny(got, "\x1b\x07") {
				t.Error("it carries control characters of the pods")
			}
			if want := "Left out: 4 grants not in force; name one to have it declared.\n"; contains(declaration.Formats(), format) && errOut != want {
				t.Errorf("of what is left out it says %q, want %q", errOut, want)
			}
		})
	}
}

func contains(all []string, one string) bool {
	return strings.Contains(strings.Join(all, " ")+" ", one+" ")
}

func TestGoldenDescribe(t *testing.T) {
	c := kubernetes(t, examples(t)...)
	for name, file := range map[string]string{
		"ledger.gke-nodes.61e3d2c1b0a99887":   "waiting",
		"services.gke-nodes.0ac63ba03103a007": "granted",
		"tools.gke-batch.1111111111111111":    "ending",
		"web.gke-nodes.2222222222222222":      "removed",
		"web.gke-old.3333333333333333":        "revoked",
		"web.gke-spare.4444444444444444":      "forbidden",
		"zero.gke-nodes.5555555555555555":     "zero",
	} {
		t.Run(file, func(t *testing.T) {
			got, errOut, err := run(t, c, name)
			if err != nil || errOut != "" {
				t.Fatalf("got %v, %q", err, errOut)
			}
			golden.Check(t, filepath.Join("testdata", file+".describe.golden"), got)
			if strings.ContainsAny(got, "\x1b\x07") {
				t.Error("it carries control characters of the pods")
			}
		})
	}
}

func TestChoice(t *testing.T) {
	const waits, services, moved = "ledger.gke-nodes", "services.gke-nodes", "web.gke-nodes"
	tests := map[string]struct {
		arguments []string
		// out and errOut are words of what is printed, not is one that must not be there.
		out, errOut []string
		not         string
	}{
		"waiting":               {[]string{"--waiting"}, []string{waits}, nil, services},
		"policy":                {[]string{"--policy=prod-services"}, []string{services}, nil, waits},
		"policy it moved to":    {[]string{"--policy=prod-web"}, []string{moved}, nil, services},
		"policy of a workload":  {[]string{"--policy=prod-pay"}, []string{services}, nil, moved},
		"both":                  {[]string{"--policy=prod-reviewed", "--waiting"}, []string{waits}, nil, services},
		"nothing":               {[]string{"--policy=prod-web", "--waiting"}, nil, []string{"No grant waits for approval under policy prod-web."}, "NAME"},
		"no such policy":        {[]string{"--policy=none", "-o", "wide"}, nil, []string{"No grant was found under policy none."}, "NAME"},
		"nothing, as document":  {[]string{"--policy=none", "-o", "json"}, []string{`"grants": []`}, nil, "null"},
		"nothing, as Terraform": {[]string{"--policy=none", "-o", "terraform"}, nil, nil, "resource"},
		"one that waits":        {[]string{waits + ".61e3d2c1b0a99887", "-o", "terraform"}, []string{`repository = "ledger"`}, nil, "services"},
		"one as document":       {[]string{waits + ".61e3d2c1b0a99887", "-o", "yaml"}, []string{"state: WaitingForApproval"}, nil, "services"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			out, errOut, err := run(t, kubernetes(t, examples(t)...), tc.arguments...)
			if err != nil {
				t.Fatal(err)
			}
			for _, said := range []struct {
				got  string
				want []string
			}{{out, tc.out}, {errOut, tc.errOut}} {
				if len(said.want) == 0 && said.got != "" {
					t.Errorf("it says %q, want nothing", said.got)
				}
				for _, word := range said.want {
					if !strings.Contains(said.got, word) {
						t.Errorf("it says\n%s\nwant %q", said.got, word)
					}
				}
			}
			if strings.Contains(out+errOut, tc.not) {
				t.Errorf("it says\n%s%s\nwithout %q", out, errOut, tc.not)
			}
		})
	}
}

// TestLapsedUnread: what has lapsed is not shown to wait, though the operator has not come to it.
func TestLapsedUnread(t *testing.T) {
	g, ok := examples(t)[0].(*v1alpha1.PullAccessGrant)
	if !ok {
		t.Fatal("no grant")
	}
	g.Status.Proposal.LapseTime = metav1.NewTime(now)
	out, _, err := run(t, kubernetes(t, g), g.Name)
	if err != nil || !strings.Contains(out, "State:          Lapsed") || strings.Contains(out, "approve") {
		t.Errorf("got %v\n%s", err, out)
	}
}

// TestHostileNames: names that are none are shown, and neither declared nor offered to be pasted.
func TestHostileNames(t *testing.T) {
	g, ok := examples(t)[1].(*v1alpha1.PullAccessGrant)
	if !ok {
		t.Fatal("no grant")
	}
	g.Status.Workloads, g.Spec.Repository.Name = nil, "a;id"
	if _, _, err := run(t, kubernetes(t, g), "-o", report.Table); err != nil {
		t.Error(err)
	}
	if out, _, err := run(t, kubernetes(t, g), "-o", declaration.Gcloud); err == nil || out != "" || exit.Code(err) != exit.Usage {
		t.Errorf("it declares %q, %v", out, err)
	}
	if steps := next(&v1alpha1.PullAccessGrant{}, ""); steps != nil {
		t.Errorf("of no grant it offers %v", steps)
	}
}

// TestNoPolicyAllows: what no policy allows is not offered to be granted by hand, unlike
// what Google refuses.
func TestNoPolicyAllows(t *testing.T) {
	at := metav1.NewTime(now)
	for name, tc := range map[string]struct {
		reason string
		ended  *metav1.Time
		// want are the commands that are offered.
		want []string
	}{
		"not written": {v1alpha1.ReasonPolicyGone, nil, []string{"kubectl get pullaccesspolicies"}},
		"ended":       {v1alpha1.ReasonPolicyGone, &at, nil},
		"storm":       {string(v1alpha1.LimitCircuitBreaker), nil, []string{"kubectl describe pullaccesspolicy prod"}},
		"refused": {v1alpha1.ReasonCloudForbidden, nil, []string{
			"gcloud artifacts repositories add-iam-policy-binding services --project=acme-images-306 --location=europe --member=serviceAccount:gke-nodes@acme-prod-417.iam.gserviceaccount.com --role=roles/artifactregistry.reader",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			g := &v1alpha1.PullAccessGrant{}
			g.Name, g.Status.EndedTime = "services.gke-nodes.0ac63ba03103a007", tc.ended
			g.Spec.Policy, g.Spec.Member = "prod", "serviceAccount:gke-nodes@acme-prod-417.iam.gserviceaccount.com"
			g.Spec.Repository = v1alpha1.Repository{Project: "acme-images-306", Location: "europe", Name: "services"}
			g.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionGranted, Status: metav1.ConditionFalse, Reason: tc.reason}}
			var got []string
			for _, s := range next(g, grantstatus.State(g)) {
				got = append(got, s.command)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("offered (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	grants := schema.GroupResource{Group: "pullaccess.dev", Resource: "pullaccessgrants"}
	noKinds := apierrors.NewGenericServerResponse(404, "get", grants, "x", "404 page not found", 0, true)
	tests := map[string]struct {
		arguments []string
		fault     error
		code      int
		words     []string
	}{
		"two names":        {[]string{"a", "b"}, nil, exit.Usage, []string{"at most one", "NAME"}},
		"name and flag":    {[]string{"a", "--waiting"}, nil, exit.Usage, []string{"without --policy and --waiting"}},
		"format":           {[]string{"-o", "xml"}, nil, exit.Usage, []string{`"xml"`, "table,wide,json,yaml,terraform"}},
		"no such grant":    {[]string{"none"}, nil, exit.Usage, []string{`pullaccessgrants.pullaccess.dev "none" not found`}},
		"forbidden":        {nil, apierrors.NewForbidden(grants, "", errors.New("no")), exit.Unreachable, []string{"forbidden"}},
		"forbidden, named": {[]string{"x"}, apierrors.NewForbidden(grants, "x", errors.New("no")), exit.Unreachable, []string{"forbidden"}},
		"gone":             {nil, errors.New("refused"), exit.Unreachable, []string{"the cluster gives no answer: refused"}},
		"no such kind":     {nil, noKinds, exit.Usage, []string{"the cluster has no PullAccessPolicies", "--context"}},
		"no kind, named":   {[]string{"x"}, noKinds, exit.Usage, []string{"the cluster has no PullAccessPolicies", "--context"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := interceptor.NewClient(kubernetes(t), interceptor.Funcs{
				Get: func(ctx context.Context, inner client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
					if tc.fault != nil {
						return tc.fault
					}
					return inner.Get(ctx, key, o, options...)
				},
				List: func(ctx context.Context, inner client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
					if tc.fault != nil {
						return tc.fault
					}
					return inner.List(ctx, list, options...)
				},
			})
			out, _, err := run(t, c, tc.arguments...)
			if out != "" || err == nil || exit.Code(err) != tc.code {
				t.Fatalf("it says %q and ends with %d (%v), want %d", out, exit.Code(err), err, tc.code)
			}
			for _, word := range tc.words {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("it says %q, want %q", err, word)
				}
			}
		})
	}
}
