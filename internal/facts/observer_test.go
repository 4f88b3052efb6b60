// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package facts

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

const (
	image   = controllertest.Image
	account = controllertest.Account
)

const notThere = `failed to pull and unpack image "` + image + `": failed to resolve image: ` + image + `: not found`

// keySecret is a pull secret with a service account's key for a registry.
func keySecret(name, registry, user, password string) *corev1.Secret {
	config := fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, registry, base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Type: corev1.SecretTypeDockerConfigJson,
		Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(config)},
	}
}

type setting struct {
	objects []client.Object
	edit    func(*corev1.Pod)
	funcs   interceptor.Funcs
	offline bool
	secrets bool
	text    string
}

// setCloud has the cloud know the node's account and a repository with the image, to which
// the account has no access.
func setCloud(c *controllertest.Cloud) {
	c.Accounts[controllertest.ProviderID] = controllertest.NodeAccount(account)
	repository := controllertest.StandardRepository()
	repository.RegistryURI = "us-central1-docker.pkg.dev/acme-prod/services"
	c.Repositories[controllertest.Services.Name] = repository
	c.Images[image] = diagnosis.Content{State: diagnosis.Present}
	c.OverallAccess = diagnosis.Overall{State: diagnosis.Missing}
}

func (s setting) observe(t *testing.T) (diagnosis.Diagnosis, []string, error) {
	t.Helper()
	node := controllertest.Node("node-1", controllertest.ProviderID)
	node.Labels = map[string]string{"cloud.google.com/gke-nodepool": "pool-1"}
	objects := append([]client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}},
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "default"}},
		node,
	}, s.objects...)
	e := controllertest.New(t, objects...)
	e.Faults = s.funcs
	setCloud(e.Cloud)
	settings := Observer{Client: e.Client, Live: e.Client, Cluster: diagnosis.Cluster{Project: "acme-prod", Location: "us-central1", Name: "main"}, Cloud: e.Cloud, Nodes: workload.NewNodes(e.Client), Clock: e.Clock}
	if s.offline {
		settings.Cloud = nil
	}
	if s.secrets {
		settings.Secrets = e.Client
	}
	pod := controllertest.Pod("node-1", "checkout", image)
	if s.edit != nil {
		s.edit(pod)
	}
	if s.text == "" {
		s.text = controllertest.Denial(image)
	}
	verdict := pullfailure.Classify(pullfailure.Text{Message: s.text, Image: image, Reason: "ErrImagePull"})
	in, err := New(settings).Observe(t.Context(), pod, pullfailure.Failure{Container: "app", Role: pullfailure.Container, Image: image}, verdict)
	asked := e.Cloud.Calls.Strings()
	slices.Sort(asked)
	return in.Diagnosis, asked, err
}

func forbidding[T client.Object]() interceptor.Funcs {
	return interceptor.Funcs{Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
		if _, ok := obj.(T); ok {
			return apierrors.NewForbidden(corev1.Resource("things"), key.Name, errors.New("no"))
		}
		return c.Get(ctx, key, obj, opts...)
	}}
}

func withSecret(name string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: name}} }
}

func TestObserve(t *testing.T) {
	const repository, content, member = "Repository acme-prod/us-central1/services", "Content " + image, controllertest.Member
	everything := []string{
		"Access " + member, content, "NodeAccount node-1 " + controllertest.ProviderID + " pool-1", "Overall " + member,
		"ProjectAccess acme-prod " + member, repository,
	}
	located := []string{repository}
	key := `{"type":"service_account","client_email":"puller@acme-ci.iam.gserviceaccount.com"}`
	tests := map[string]struct {
		setting
		want  diagnosis.Reason
		says  string
		asked []string
	}{
		"all there":          {want: diagnosis.AccessMissing, asked: everything},
		"file without nodes": {setting: setting{offline: true, edit: func(p *corev1.Pod) { p.Spec.NodeName = "node-2" }}, want: "PermissionDenied", says: "must be read"},
		"no node yet":        {setting: setting{edit: func(p *corev1.Pod) { p.Spec.NodeName = "" }}, want: diagnosis.PullerUnknown, says: "the pod has no node", asked: located},
		"node forbidden":     {setting: setting{funcs: forbidding[*corev1.Node]()}, want: diagnosis.PullerUnknown, says: "may not be read", asked: located},
		"account forbidden":  {setting: setting{funcs: forbidding[*corev1.ServiceAccount]()}, want: diagnosis.PullerUnknown, says: "was not read", asked: everything},
		"federated": {
			setting: setting{
				objects: []client.Object{&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", Annotations: map[string]string{federatedPull: "true"}}}},
				edit:    func(p *corev1.Pod) { p.Spec.ServiceAccountName = "web" },
			},
			want: diagnosis.FederatedPuller, says: "account web pulls", asked: located,
		},
		"secrets not read": {setting: setting{edit: withSecret("key")}, want: diagnosis.PullSecretUsed, says: "not certain", asked: located},
		"secret forbidden": {setting: setting{edit: withSecret("key"), secrets: true, funcs: forbidding[*corev1.Secret]()}, want: diagnosis.PullSecretUsed, says: "not certain", asked: located},
		"secret gone":      {setting: setting{edit: withSecret("key"), secrets: true}, want: diagnosis.AccessMissing, asked: everything},
		"secret for another registry": {
			setting: setting{edit: withSecret("key"), secrets: true, objects: []client.Object{keySecret("key", "ghcr.io", "me", "token")}},
			want:    diagnosis.AccessMissing, asked: everything,
		},
		"secret with a key": {
			setting: setting{edit: withSecret("key"), secrets: true, objects: []client.Object{keySecret("key", "https://us-central1-docker.pkg.dev", "_json_key", key)}},
			want:    diagnosis.PullSecretUsed, says: "puller@acme-ci.iam.gserviceaccount.com", asked: located,
		},
		"secret with an encoded key": {
			setting: setting{edit: withSecret("key"), secrets: true, objects: []client.Object{
				keySecret("key", "*.pkg.dev", "_json_key_base64", base64.StdEncoding.EncodeToString([]byte(key))),
			}},
			want: diagnosis.PullSecretUsed, says: "puller@acme-ci.iam.gserviceaccount.com", asked: located,
		},
		"secret of nobody known": {
			setting: setting{edit: withSecret("key"), secrets: true, objects: []client.Object{
				keySecret("key", "us-central1-docker.pkg.dev", "_json_key", `{"client_email":"x@y; reboot"}`),
			}},
			want: diagnosis.PullSecretUsed, says: "is tried for image", asked: located,
		},
		"secret that is none": {
			setting: setting{edit: withSecret("key"), secrets: true, objects: []client.Object{&corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "key"}, Type: corev1.SecretTypeDockerConfigJson,
				Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte("{")},
			}}},
			want: diagnosis.PullSecretUsed, says: "not certain", asked: located,
		},
		"too many secrets": {
			setting: setting{secrets: true, edit: func(p *corev1.Pod) {
				for i := range 20 {
					p.Spec.ImagePullSecrets = append(p.Spec.ImagePullSecrets, corev1.LocalObjectReference{Name: fmt.Sprint("key-", i)})
				}
			}},
			want: diagnosis.PullSecretUsed, says: "key-16", asked: located,
		},
		"missing, with a secret": {
			setting: setting{edit: withSecret("key"), text: notThere}, want: "ImageNotFound", says: "is there now", asked: []string{content, repository},
		},
		"missing": {
			setting: setting{text: notThere},
			want:    "ImageNotFound", says: "is there now", asked: []string{content, repository},
		},
		"network": {setting: setting{text: `failed to do request: Head "https://us-central1-docker.pkg.dev/v2/": dial tcp 142.250.1.82:443: i/o timeout`}, want: "Network"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, asked, err := tc.observe(t)
			if err != nil {
				t.Fatal(err)
			}
			if got.Reason != tc.want || !strings.Contains(got.Sentence, tc.says) {
				t.Errorf("%s: %s; want %s saying %q", got.Reason, got.Sentence, tc.want, tc.says)
			}
			if diff := cmp.Diff(tc.asked, asked); diff != "" {
				t.Errorf("asked of the cloud (-want +got):\n%s", diff)
			}
			if strings.Contains(got.Sentence+got.Command, "reboot") {
				t.Errorf("what a secret holds is shown: %s %s", got.Sentence, got.Command)
			}
		})
	}
}

// TestPullerIsWhole: what the cloud tells of the node joins what the cluster said.
func TestPullerIsWhole(t *testing.T) {
	got, _, err := setting{}.observe(t)
	if err != nil {
		t.Fatal(err)
	}
	want := diagnosis.Puller{
		State: diagnosis.Present, Email: account, Scopes: []string{"https://www.googleapis.com/auth/cloud-platform"},
		Node: "node-1", Pool: "pool-1", Cluster: diagnosis.Cluster{Project: "acme-prod", Location: "us-central1", Name: "main"},
		Federated: diagnosis.Missing, Account: "default",
	}
	if diff := cmp.Diff(want, got.Facts.Puller); diff != "" {
		t.Errorf("puller (-want +got):\n%s", diff)
	}
}

// TestObserveFails: what the API server cannot answer is tried again, not guessed.
func TestObserveFails(t *testing.T) {
	broken := errors.New("broken")
	_, _, err := setting{funcs: interceptor.Funcs{Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
		return broken
	}}}.observe(t)
	if !errors.Is(err, broken) {
		t.Errorf("Observe: %v, want broken", err)
	}
}
