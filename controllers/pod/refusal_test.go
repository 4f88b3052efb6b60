// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
)

// settled are the reads of a failure whose text or image rules a grant out.
var (
	settled    []string
	puller     = []string{readNode}
	located    = []string{readContent, readRepository}
	puzzled    = []string{readNode, readRepository}
	everything = []string{readAccess, readContent, readNode, readOverall, readProject, readRepository}
)

type refusalCase struct {
	edit  func(*env)
	image string
	text  string
	want  string
	reads []string
	again time.Duration
	// says is part of the Event.
	says string
	why  string
}

func refusalsByText() map[string]refusalCase {
	return map[string]refusalCase{
		"missing manifest": {
			text: `failed to pull and unpack image "` + image + `": failed to resolve image: ` + image + `: not found`,
			want: "ImageNotFound", reads: located, why: "what is there instead is worth a look; who asked is not",
		},
		"anonymous pull": {text: strings.Replace(controllertest.Denial(image), "oauth", "anonymous", 1), want: "Unauthenticated", reads: puller},
		"denied by a mirror": {
			text: strings.Replace(controllertest.Denial(image), "https://us-central1-docker.pkg.dev", "https://mirror.example", 1),
			want: string(diagnosis.DenialUnclear), reads: settled,
		},
		"another registry": {
			image: "ghcr.io/acme/app:1",
			text:  `failed to pull and unpack image "ghcr.io/acme/app:1": failed to resolve image: unexpected status from HEAD request to https://ghcr.io/v2/acme/app/manifests/1: 403 Forbidden`,
			want:  string(diagnosis.NotArtifactRegistry), reads: settled,
		},
		"no reference": {image: "not an image", text: "Failed to apply default image tag", want: "InvalidReference", reads: settled},
		"no network": {
			text: `failed to pull and unpack image "` + image + `": failed to resolve image: dial tcp 142.250.1.82:443: i/o timeout`,
			want: "Network", reads: settled,
		},
	}
}

func refusalsByFact() map[string]refusalCase {
	unavailable := diagnosis.Obstacle{Kind: diagnosis.Unavailable, Detail: "Google does not answer", RetryAfter: 7 * time.Second}
	forbidden := diagnosis.Obstacle{Kind: diagnosis.Forbidden, Permission: "artifactregistry.repositories.get"}
	return map[string]refusalCase{
		"pull secrets": {
			edit: func(e *env) { e.pod.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "key"}} },
			want: string(diagnosis.PullSecretUsed), reads: []string{readRepository}, why: "it is not certain who asked",
		},
		"federated pull": {
			edit: func(e *env) { e.account.Annotations = map[string]string{"iam.gke.io/enable-wi-image-pull": "true"} },
			want: string(diagnosis.FederatedPuller), reads: []string{readRepository}, why: "the node did not ask",
		},
		"node without an account": {
			edit: func(e *env) { e.setAccount(diagnosis.Puller{State: diagnosis.Missing}) },
			want: string(diagnosis.NoServiceAccount), reads: puzzled,
		},
		"node late": {
			edit: func(e *env) { e.setAccount(diagnosis.Puller{Obstacle: unavailable}) },
			want: string(diagnosis.PullerUnknown), reads: puzzled, again: 7 * time.Second,
		},
		"node forbidden": {
			edit: func(e *env) { e.setAccount(diagnosis.Puller{Obstacle: forbidden}) },
			want: string(diagnosis.PullerUnknown), reads: puzzled, why: "asking again does not help",
		},
		"scopes": {
			edit: func(e *env) { e.setAccount(diagnosis.Puller{State: diagnosis.Present, Email: account}) },
			want: string(diagnosis.ScopesMissing), reads: everything,
		},
		"no repository": {
			edit: func(e *env) { e.setRepository(diagnosis.Repository{State: diagnosis.Missing}) },
			want: string(diagnosis.RepositoryNotFound), reads: puzzled,
		},
		"repository forbidden": {
			edit: func(e *env) { e.setRepository(diagnosis.Repository{Obstacle: forbidden}) },
			want: string(diagnosis.RepositoryUnreadable), reads: puzzled,
		},
		"repository late": {
			edit: func(e *env) { e.setRepository(diagnosis.Repository{Obstacle: unavailable}) },
			want: string(diagnosis.RepositoryUnreadable), reads: puzzled, again: 7 * time.Second,
		},
		"access late": {
			edit: func(e *env) { e.Cloud.Obstacles[controllertest.MethodAccess] = unavailable },
			want: string(diagnosis.AccessUnreadable), reads: everything, again: 7 * time.Second,
		},
		"access there": {
			edit: func(e *env) { e.Cloud.SetReaders(repository.Name, member) },
			want: string(diagnosis.AlreadyGranted), reads: everything,
		},
	}
}

const (
	defaultAccount = "7-compute@developer.gserviceaccount.com"
	defaultMember  = "serviceAccount:" + defaultAccount
)

func refusalsByPolicy() map[string]refusalCase {
	return map[string]refusalCase{
		"no policy": {edit: func(e *env) { e.policy = nil }, want: decision.ReasonNoPolicy, reads: everything},
		"dry run": {
			edit: func(e *env) { e.policy.Spec.Mode = v1alpha1.ModeDryRun },
			want: v1alpha1.ReasonDryRun, reads: everything, why: "all is done but the writes",
		},
		"no mode": {
			edit: func(e *env) { e.policy.Spec.Mode = "" },
			want: v1alpha1.ReasonDryRun, reads: everything, why: "the zero value writes nothing",
		},
		"another namespace": {
			edit: func(e *env) { e.namespace.Labels = nil },
			want: decision.ReasonNamespaceNotSelected, reads: everything,
		},
		"labels too large": {
			edit: func(e *env) {
				for i := range 200 {
					e.namespace.Labels[fmt.Sprint("label-", i)] = strings.Repeat("v", 63)
				}
			},
			want: decision.ReasonNamespaceNotSelected, reads: everything, says: "because the labels of the namespace are larger than 8 KB",
		},
		"another pod": {
			edit: func(e *env) { e.policy.Spec.PodSelector.MatchLabels = map[string]string{"tier": "web"} },
			want: decision.ReasonPodNotSelected, reads: everything,
		},
		"another repository": {
			edit: func(e *env) { e.policy.Spec.Repositories[0].Name = "tools" },
			want: decision.ReasonRepositoryNotListed, reads: everything,
		},
		"another account": {
			edit: func(e *env) { e.policy.Spec.NodeServiceAccounts = []string{"x@acme-prod.iam.gserviceaccount.com"} },
			want: decision.ReasonServiceAccountNotListed, reads: everything,
		},
		"virtual repository": {
			edit: func(e *env) { e.setRepository(controllertest.DockerRepository("VIRTUAL_REPOSITORY")) },
			want: decision.ReasonVirtualRepository, reads: slices.DeleteFunc(slices.Clone(everything), func(read string) bool { return read == readContent }),
		},
		"compute default account": {
			edit: func(e *env) {
				e.setAccount(controllertest.NodeAccount(defaultAccount))
				e.policy.Spec.NodeServiceAccounts = []string{defaultAccount}
			},
			want: decision.ReasonComputeDefaultServiceAccount,
			reads: []string{
				"Access " + defaultMember, readContent, readNode, "Overall " + defaultMember, "ProjectAccess acme-prod " + defaultMember, readRepository,
			},
		},
	}
}

// TestRefusals: each refusal writes nothing and is said once, however often the
// two texts of the kubelet alternate.
func TestRefusals(t *testing.T) {
	for group, tests := range map[string]map[string]refusalCase{
		"text": refusalsByText(), "fact": refusalsByFact(), "policy": refusalsByPolicy(),
	} {
		for name, tc := range tests {
			t.Run(group+"/"+name, func(t *testing.T) { checkRefusal(t, tc) })
		}
	}
}

func checkRefusal(t *testing.T, tc refusalCase) {
	t.Helper()
	e := newEnv(t)
	if tc.edit != nil {
		tc.edit(e)
	}
	if tc.image == "" {
		tc.image = image
	}
	if tc.text == "" {
		tc.text = controllertest.Denial(image)
	}
	e.pod.Spec.Containers[0].Image = tc.image
	r := e.build()
	backOff := `Back-off pulling image "` + tc.image + `"`
	for pass := range 6 {
		text := []struct{ reason, message string }{
			{"ErrImagePull", tc.text}, {"ImagePullBackOff", backOff}, {"ImagePullBackOff", backOff + ": ErrImagePull: " + tc.text},
		}[pass%3]
		result, err := e.fail(r, text.reason, text.message)
		if err != nil {
			t.Fatalf("pass %d: %v; a refusal is no error", pass, err)
		}
		if result.RequeueAfter != tc.again {
			t.Errorf("pass %d: RequeueAfter %v, want %v (%s)", pass, result.RequeueAfter, tc.again, tc.why)
		}
	}
	said := e.Recorder.Take()
	if len(said) != 1 || !strings.HasPrefix(said[0], "Warning "+tc.want+" ") || !strings.Contains(said[0], tc.says) {
		t.Errorf("six passes said %q, want %s with %q once (%s)", said, tc.want, tc.says, tc.why)
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values(slices.Repeat(tc.reads, 6))), slices.Sorted(slices.Values(e.Cloud.Calls.Strings()))); diff != "" && len(tc.reads)+len(e.Cloud.Calls.Strings()) > 0 {
		t.Errorf("reads of the cloud (-want +got) %s:\n%s", tc.why, diff)
	}
	writes := map[string]int{}
	if tc.want == v1alpha1.ReasonDryRun {
		writes["patch status"] = 1 // The policy lists what it would have granted.
		wantWould(t, e)
	}
	if grants := e.Grants(); len(grants) > 0 || !cmp.Equal(writes, e.Writes()) {
		t.Errorf("%d grants, wrote %v (%s)", len(grants), e.Writes(), tc.why)
	}
}

// wantWould wants the policy to list, once, what it would have granted.
func wantWould(t *testing.T, e *env) {
	t.Helper()
	var policy v1alpha1.PullAccessPolicy
	if err := e.Client.Get(t.Context(), client.ObjectKeyFromObject(e.policy), &policy); err != nil {
		t.Fatal(err)
	}
	first := metav1.NewTime(start)
	want := []v1alpha1.WouldGrant{{Repository: repository.Record(), Member: member, FirstTime: first}}
	if diff := cmp.Diff(want, policy.Status.WouldGrant); diff != "" {
		t.Errorf("status.wouldGrant (-want +got):\n%s", diff)
	}
}

// TestChangedAnswerIsSaid: when what is in the way changes, people are told.
func TestChangedAnswerIsSaid(t *testing.T) {
	e := newEnv(t)
	e.setRepository(diagnosis.Repository{State: diagnosis.Missing})
	r := e.build()
	for range 2 {
		if _, err := e.fail(r, "ErrImagePull", controllertest.Denial(image)); err != nil {
			t.Fatal(err)
		}
	}
	e.setRepository(present())
	for range 2 {
		if _, err := e.fail(r, "ErrImagePull", controllertest.Denial(image)); err != nil {
			t.Fatal(err)
		}
	}
	said := e.Recorder.Take()
	if len(said) != 2 || !strings.Contains(said[0], " RepositoryNotFound ") || !strings.Contains(said[1], " AccessRequested ") {
		t.Errorf("said %q", said)
	}
}

func TestOwnGrant(t *testing.T) {
	grantedNow := func(g *v1alpha1.PullAccessGrant) { grantstatus.Grant(g, v1alpha1.OriginAdded, "etag-2", start) }
	tests := map[string]struct {
		edit  func(*v1alpha1.PullAccessGrant)
		after time.Duration
		// present: the member is in the repository's IAM policy.
		present bool
		want    string
		joins   bool
		asked   bool
		why     string
	}{
		"just granted": {
			edit: grantedNow, after: 59 * time.Second, want: "Normal WaitingForPropagation", joins: true,
			why: "a read may have begun before the write; the record counts",
		},
		"granted, spreading": {edit: grantedNow, after: 10 * time.Minute, present: true, want: "Normal WaitingForPropagation", joins: true, asked: true},
		"removed by somebody else": {
			edit: grantedNow, after: time.Minute, want: "Warning RemovedExternally", asked: true,
			why: "what somebody removed is not put back",
		},
		"granted long ago": {
			edit: grantedNow, after: 16 * time.Minute, present: true, want: "Warning AlreadyGranted", asked: true,
			why: "it has spread; something else blocks the pull",
		},
		"write without its record": {
			edit:    func(g *v1alpha1.PullAccessGrant) { grantstatus.Intend(g, true, "etag-1", start) },
			present: true, want: "Normal AccessRequested", joins: true, asked: true, why: "what is there after our intent is ours",
		},
		"intent without its write": {
			edit: func(g *v1alpha1.PullAccessGrant) { grantstatus.Intend(g, true, "etag-1", start) },
			want: "Normal AccessRequested", joins: true, asked: true,
		},
		"being deleted": {
			edit: func(g *v1alpha1.PullAccessGrant) {
				grantedNow(g)
				g.DeletionTimestamp = &metav1.Time{Time: start}
			},
			present: true, want: "Warning AlreadyGranted", asked: true, why: "it is ours no more",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			e.grant = grantOf("prod", deploymentNamed("api"))
			tc.edit(e.grant)
			if tc.present {
				e.Cloud.SetReaders(repository.Name, member)
			}
			e.Clock.SetTime(start.Add(tc.after))
			r := e.build()
			for range 3 {
				if _, err := e.fail(r, "ErrImagePull", controllertest.Denial(image)); err != nil {
					t.Fatal(err)
				}
			}
			said := slices.DeleteFunc(e.Recorder.Take(), func(s string) bool { return strings.HasPrefix(s, "Normal RemovedExternally ") }) // Said of the grant.
			if len(said) != 1 || !strings.HasPrefix(said[0], tc.want+" ") {
				t.Errorf("three passes said %q, want %s once (%s)", said, tc.want, tc.why)
			}
			if asked := slices.Contains(e.Cloud.Calls.Strings(), readAccess); asked != tc.asked {
				t.Errorf("access was read: %v, want %v (%s)", asked, tc.asked, tc.why)
			}
			joined := slices.ContainsFunc(e.Grants()[0].Status.Workloads, func(s v1alpha1.WorkloadStatus) bool {
				return s.Workload == deploymentNamed("web") && s.State == v1alpha1.WorkloadWaiting
			})
			noted := tc.want == "Warning RemovedExternally"
			if noted != grantstatus.RemovedExternally(&e.Grants()[0]) {
				t.Errorf("the record says %+v (%s)", e.Grants()[0].Status.Conditions, tc.why)
			}
			if joined != tc.joins || e.Writes()["patch status"] != map[bool]int{true: 1}[tc.joins || noted] {
				t.Errorf("joined %v, wrote %v; want joined %v (%s)", joined, e.Writes(), tc.joins, tc.why)
			}
		})
	}
}

// TestPolicyWakesFailingPodsOnly: a change of a policy costs nothing for pods
// that wait on something else.
func TestPolicyWakesFailingPodsOnly(t *testing.T) {
	e := newEnv(t)
	r := e.build()
	waiting := func(namespace, name, reason string) *corev1.Pod {
		pod := podOf("web", 1)
		pod.Namespace, pod.Name = namespace, name
		controllertest.Failing(reason, "")(pod)
		return pod
	}
	for _, pod := range []*corev1.Pod{
		waiting("shop", "stuck", "ImagePullBackOff"), waiting("shop", "young", "ContainerCreating"), waiting("other", "stuck", "ErrImagePull"),
	} {
		e.Create(pod)
	}
	if got := r.failingPods(t.Context(), e.policy); len(got) != 2 {
		t.Errorf("a policy wakes %v, want both that are stuck", got)
	}
	got := r.failingPodsOf(t.Context(), e.namespace)
	if len(got) != 1 || got[0].String() != "shop/stuck" {
		t.Errorf("a namespace wakes %v, want shop/stuck", got)
	}
}
