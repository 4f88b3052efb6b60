// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/outage"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/source"
	"github.com/pull-access/pull-access-operator/controllers/outcome"
	"github.com/pull-access/pull-access-operator/controllers/pod"
	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/demand"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/facts"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

// world is a cluster and a cloud in which a pod of Deployment web is denied its image.
type world struct {
	*controllertest.Env
	pod *corev1.Pod
}

func newWorld(t *testing.T, objects ...client.Object) world {
	t.Helper()
	set := controllertest.ReplicaSet("web-1", controllertest.Image, controllertest.ControlledBy("apps/v1", "Deployment", "web"))
	objects = append(objects, set, controllertest.Node("node-1", controllertest.ProviderID),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: controllertest.Namespace}},
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: controllertest.Namespace, Name: "default"}})
	w := world{Env: controllertest.New(t, objects...)}
	w.Cloud.Accounts[controllertest.ProviderID] = controllertest.NodeAccount(controllertest.Account)
	repository := controllertest.StandardRepository()
	repository.RegistryURI = "us-central1-docker.pkg.dev/acme-prod/services"
	w.Cloud.Repositories[controllertest.Services.Name] = repository
	w.pod = controllertest.Pod("node-1", "web-1-0", controllertest.Image, controllertest.Failing("ErrImagePull", controllertest.Denial(controllertest.Image)), func(p *corev1.Pod) {
		p.OwnerReferences = []metav1.OwnerReference{controllertest.ControlledBy("apps/v1", "ReplicaSet", "web-1")}
		p.Labels = map[string]string{"pod-template-hash": "1"}
		p.CreationTimestamp = metav1.NewTime(controllertest.Start)
	})
	return w
}

// event is what the operator tells of the pod.
func (w world) event(t *testing.T) string {
	t.Helper()
	r := pod.New(pod.Reconciler{
		Client: w.Client, Owners: workload.NewOwners(w.Client), Recorder: w.Recorder, Clock: w.Clock, Grants: outcome.NewGrants(), Demand: demand.New(w.Clock),
		Observer: facts.New(facts.Observer{Client: w.Client, Live: w.Client, Cloud: w.Cloud, Nodes: workload.NewNodes(w.Client), Clock: w.Clock}),
	})
	if _, err := r.Reconcile(t.Context(), w.pod); err != nil {
		t.Fatal(err)
	}
	var about []string
	for _, said := range w.Recorder.Take() {
		if strings.Contains(said, " See ") { // The others are about the grant.
			about = append(about, said)
		}
	}
	if len(about) != 1 {
		t.Fatalf("the operator says %q, want one Event on the pod", about)
	}
	return about[0]
}

// explained is what the command line finds.
func (w world) explained(t *testing.T, cloud facts.Cloud, snapshot *source.Snapshot) outage.Finding {
	t.Helper()
	o := options{clock: w.Clock, cloudTimeout: time.Minute, cloud: cloud != nil}
	snapshot.Pods = []*corev1.Pod{w.pod}
	found, err := o.findings(t.Context(), w.Client, cloud, snapshot)
	if err != nil || len(found) != 1 {
		t.Fatalf("it finds %d failures: %v", len(found), err)
	}
	return found[0]
}

// recordsBy has grants in the states that the same facts meet.
func recordsBy() map[string]func(*v1alpha1.PullAccessGrant) {
	review := func(d v1alpha1.ReviewDecision) *v1alpha1.Review {
		return &v1alpha1.Review{Decision: d, User: "ann@example.com", Reason: "ticket 7"}
	}
	start := controllertest.Start
	proposed := func(g *v1alpha1.PullAccessGrant) {
		grantstatus.Propose(g, controllertest.Policy(func(p *v1alpha1.PullAccessPolicy) { p.Spec.Mode = v1alpha1.ModeApprove }), start)
	}
	return map[string]func(*v1alpha1.PullAccessGrant){
		"waiting": proposed,
		"just denied": func(g *v1alpha1.PullAccessGrant) {
			proposed(g)
			g.Status.Review = review(v1alpha1.ReviewDenied)
		},
		"denied": func(g *v1alpha1.PullAccessGrant) {
			proposed(g)
			g.Status.Review = review(v1alpha1.ReviewDenied)
			grantstatus.End(g, v1alpha1.EndDenied, start)
		},
		"approved": func(g *v1alpha1.PullAccessGrant) {
			proposed(g)
			g.Status.Review = review(v1alpha1.ReviewApproved)
			grantstatus.Approve(g, start)
		},
		"revoked": func(g *v1alpha1.PullAccessGrant) {
			grantstatus.Grant(g, v1alpha1.OriginAdded, "etag", start)
			g.Status.Review = review(v1alpha1.ReviewRevoked)
			grantstatus.End(g, v1alpha1.EndRevoked, start)
		},
		"granted": func(g *v1alpha1.PullAccessGrant) { grantstatus.Grant(g, v1alpha1.OriginAdded, "etag", start) },
		"rate limited": func(g *v1alpha1.PullAccessGrant) {
			grantstatus.Refuse(g, metav1.ConditionFalse, "GrantsPerHour", "Later.", true)
		},
	}
}

// TestEventAndFindingAgree: for the same facts the operator's Event and the command line give
// the same reason, sentence and next step; with the record also without credentials.
func TestEventAndFindingAgree(t *testing.T) {
	policies := map[string]func(*v1alpha1.PullAccessPolicy){
		"enforces":   func(*v1alpha1.PullAccessPolicy) {},
		"asks":       func(p *v1alpha1.PullAccessPolicy) { p.Spec.Mode = v1alpha1.ModeApprove },
		"dry run":    func(p *v1alpha1.PullAccessPolicy) { p.Spec.Mode = v1alpha1.ModeDryRun },
		"paused":     func(p *v1alpha1.PullAccessPolicy) { p.Spec.Pause = &v1alpha1.PauseSpec{Reason: "freeze"} },
		"not listed": func(p *v1alpha1.PullAccessPolicy) { p.Spec.Repositories[0].Name = "tools" },
	}
	for name, edit := range policies {
		t.Run("policy/"+name, func(t *testing.T) {
			w := newWorld(t, controllertest.Policy(edit))
			wantSame(t, w.explained(t, w.Cloud, &source.Snapshot{}), w.event(t))
		})
	}
	t.Run("policy/none", func(t *testing.T) {
		w := newWorld(t)
		wantSame(t, w.explained(t, w.Cloud, &source.Snapshot{}), w.event(t))
	})
	for name, edit := range recordsBy() {
		t.Run("record/"+name, func(t *testing.T) {
			mode := func(p *v1alpha1.PullAccessPolicy) { p.Spec.Mode = v1alpha1.ModeApprove }
			w := newWorld(t, controllertest.Policy(mode), controllertest.Grant(controllertest.Member, edit))
			with, without := w.explained(t, w.Cloud, &source.Snapshot{}), w.explained(t, nil, &source.Snapshot{})
			if diff := cmp.Diff(with.Explanation, without.Explanation); diff != "" {
				t.Errorf("without Google it is explained in another way (-with +without):\n%s", diff)
			}
			wantSame(t, with, w.event(t))
		})
	}
}

// wantSame wants the Event to be the finding.
func wantSame(t *testing.T, got outage.Finding, event string) {
	t.Helper()
	e := got.Explanation
	_, said, _ := strings.Cut(event, " ") // The type.
	if want := e.Reason + " " + e.Note(1024); said != want {
		t.Errorf("the Event says\n%s\nthe command line\n%s", said, want)
	}
}

// TestWithoutCredentials: the operator's latest Event tells what Google is not asked for, and
// one note says why.
func TestWithoutCredentials(t *testing.T) {
	w := newWorld(t, controllertest.Policy(func(p *v1alpha1.PullAccessPolicy) { p.Spec.Repositories[0].Name = "tools" }))
	said := strings.SplitN(w.event(t), " ", 3)
	event := &corev1.Event{
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: w.pod.Namespace, Name: w.pod.Name, UID: w.pod.UID, FieldPath: "spec.containers{app}"},
		Reason:         said[1], Message: said[2],
	}
	snapshot := source.Snapshot{Reports: map[types.NamespacedName][]*corev1.Event{client.ObjectKeyFromObject(w.pod): {event}}}
	lacking := diagnosis.Obstacle{Kind: diagnosis.Unavailable, Detail: "no Google credentials were found", NoCredentials: true}
	w.Cloud.Accounts[controllertest.ProviderID] = diagnosis.Puller{Obstacle: lacking}
	w.Cloud.Repositories[controllertest.Services.Name] = diagnosis.Repository{Obstacle: lacking}

	got := w.explained(t, w.Cloud, &snapshot)
	if e := got.Explanation; e.Reason != "RepositoryNotListed" || e.NextStep != "kubectl edit pullaccesspolicy prod" || e.Actor != diagnosis.PlatformTeam ||
		!strings.HasSuffix(e.Sentence, "(spec.repositories).") {
		t.Errorf("it finds %+v", e)
	}
	note := "Google Cloud was not asked: no credentials. Run: gcloud auth application-default login"
	if diff := cmp.Diff([]string{note}, snapshot.Notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
	if len(got.Diagnosis.Unknowns) != 1 || strings.Contains(got.Diagnosis.Unknowns[0], "credentials") {
		t.Errorf("it repeats %q", got.Diagnosis.Unknowns)
	}

	empty := source.Snapshot{}
	if e := w.explained(t, w.Cloud, &empty).Explanation; e.Reason != "PermissionDenied" || e.NextStep != "gcloud auth application-default login" {
		t.Errorf("without an Event it finds %s and offers %q", e.Reason, e.NextStep)
	}
}

// TestRecordOfAnother: a record counts for the workload or the account that it names.
func TestRecordOfAnother(t *testing.T) {
	denied := recordsBy()["denied"]
	second := controllertest.Grant("serviceAccount:other@acme-prod.iam.gserviceaccount.com", denied)
	for name, tc := range map[string]struct {
		grants []client.Object
		want   string
		why    string
	}{
		"this workload": {[]client.Object{controllertest.Grant(controllertest.Member, denied)}, "Denied", ""},
		"another workload": {
			[]client.Object{controllertest.Grant(controllertest.Member, func(g *v1alpha1.PullAccessGrant) {
				g.Spec.Workload.Name = "api"
				denied(g)
			})}, "PermissionDenied", "it need not be of the account that pulls",
		},
		"two accounts": {[]client.Object{controllertest.Grant(controllertest.Member, denied), second}, "PermissionDenied", "nobody knows which of them pulls"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tc.grants...)
			if got := w.explained(t, nil, &source.Snapshot{}).Explanation.Reason; got != tc.want {
				t.Errorf("it finds %s, want %s (%s)", got, tc.want, tc.why)
			}
		})
	}
}
