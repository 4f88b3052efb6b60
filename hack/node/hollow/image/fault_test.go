// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distribution/reference"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
	"github.com/pull-access/pull-access-operator/hack/pulltext"
)

// writeTexts is for after a change of containerd's version or of the faults.
var writeTexts = flag.Bool("write-texts", false, "write the texts of the faults down as test data of internal/pullfailure")

const (
	nodeAccount = "gke-nodes@acme-prod-417.iam.gserviceaccount.com"
	textFolder  = "../../../../internal/pullfailure/testdata/containerd-resolver"
	// runtimeVersions is what go.mod requires.
	runtimeVersions = "2.4.2"
)

// faultLab is a cloud, and a node with an account and one without.
type faultLab struct {
	cloud           *gcpemulator.Emulator
	node, anonymous *Puller
}

func newFaultLab(t *testing.T) *faultLab {
	t.Helper()
	cloud, err := gcpemulator.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cloud.Close(); err != nil {
			t.Error(err)
		}
	})
	metadata, err := cloud.StartMetadata(gcpemulator.Instance{
		Project: "acme-prod-417", Zone: "us-central1-a", Name: "node", ServiceAccount: nodeAccount,
	})
	if err != nil {
		t.Fatal(err)
	}
	l := &faultLab{cloud: cloud}
	l.node, l.anonymous = l.puller(t, Credentials{MetadataURL: metadata}), l.puller(t, Credentials{})
	return l
}

func (l *faultLab) puller(t *testing.T, credentials Credentials) *Puller {
	t.Helper()
	puller, err := NewPuller(t.Context(), t.TempDir(), l.cloud.URL(), credentials)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := puller.Close(); err != nil {
			t.Error(err)
		}
	})
	return puller
}

// pull is one image that has a fault, and what came of its pull.
type pull struct {
	fault   gcpemulator.ImageFault
	image   string
	secrets []corev1.Secret

	texts []pulltext.Text
	err   error
}

// pulls are those of all faults that the hollow node can show: it unpacks nothing.
func (l *faultLab) pulls() []*pull {
	member := configSecret(fmt.Sprintf(`{"auths":{"registry.example.com":{"username":%q,"password":%q}}}`,
		tokenUser, l.cloud.Token("member@acme-prod-417.iam.gserviceaccount.com")))
	var pulls []*pull
	for _, fault := range gcpemulator.ImageFaults() {
		if fault.AtUnpacking() {
			continue
		}
		pulls = append(pulls, &pull{fault: fault, image: pulltext.GoogleImage(fault)})
		if image, ok := pulltext.OtherImage(fault); ok {
			other := &pull{fault: fault, image: image}
			if !fault.Anonymous() {
				other.secrets = []corev1.Secret{member}
			}
			pulls = append(pulls, other)
		}
	}
	return pulls
}

// run pulls the image, and keeps all that the pod's status and its events would show.
func (p *pull) run(ctx context.Context, l *faultLab) error {
	if err := l.cloud.SetImageFault(p.image, p.fault); err != nil {
		return err
	}
	puller := l.node
	if p.fault.Anonymous() {
		puller = l.anonymous
	}
	recorder := record.NewFakeRecorder(10)
	m := NewManager(puller, recorder, clock.RealClock{}, time.Hour, time.Hour)
	wish := Request{Pod: "uid-1", Container: &corev1.ObjectReference{Kind: "Pod", Name: "app"}, Image: p.image, Secrets: p.secrets}
	for _, reason := range []string{reasonErrImagePull, reasonImagePullBackOff} {
		_, failure := m.Ensure(ctx, wish)
		if failure == nil || failure.Reason != reason {
			return fmt.Errorf("the pull gave %+v, want %s", failure, reason)
		}
		p.texts = append(p.texts, pulltext.Text{Fault: p.fault, Image: p.image, Reason: reason, Message: failure.Message})
	}
	<-recorder.Events // Pulling.
	event, ok := strings.CutPrefix(<-recorder.Events, "Warning Failed ")
	if !ok {
		return errors.New("no event tells of the failure")
	}
	p.texts = append(p.texts, pulltext.Text{Fault: p.fault, Image: p.image, Reason: "Failed", Message: event})
	return nil
}

// TestFaultsThroughResolver has containerd's own resolver meet each fault.
func TestFaultsThroughResolver(t *testing.T) {
	l := newFaultLab(t)
	pulls := l.pulls()
	var running sync.WaitGroup
	for _, p := range pulls { // All at once: some wait long for an answer.
		running.Go(func() { p.err = p.run(t.Context(), l) })
	}
	running.Wait()
	var book pulltext.Book
	for _, p := range pulls {
		t.Run(p.image, func(t *testing.T) {
			if p.err != nil {
				t.Fatal(p.err)
			}
			for _, text := range p.texts {
				if err := text.Check(); err != nil {
					t.Error(err)
				}
			}
			if p.image == pulltext.GoogleImage(p.fault) { // The other registry's texts are the same but for the name.
				book.Add(p.texts[len(p.texts)-1])
			}
		})
	}
	if *writeTexts && !t.Failed() {
		if err := book.Write(filepath.FromSlash(textFolder), runtimeVersions); err != nil {
			t.Error(err)
		}
	}
}

// TestSecondCredential has the registry refuse the pod's own credential, and the node's after it.
func TestSecondCredential(t *testing.T) {
	l := newFaultLab(t)
	image := pulltext.GoogleImage(gcpemulator.TokenDenied)
	if err := l.cloud.SetImageFault(image, gcpemulator.TokenDenied); err != nil {
		t.Fatal(err)
	}
	named, err := reference.ParseDockerRef(image)
	if err != nil {
		t.Fatal(err)
	}
	wrong := configSecret(`{"auths":{"us-central1-docker.pkg.dev":{"username":"_json_key","password":"emulated"}}}`)
	_, err = l.node.Pull(t.Context(), named, []corev1.Secret{wrong})
	if err == nil || strings.Count(err.Error(), "failed to fetch oauth token") != 1 {
		t.Errorf("one and the same refusal of both credentials reads %v, want it once", err)
	}

	l.cloud.ClearFaults()
	_, err = l.node.Pull(t.Context(), named, []corev1.Secret{wrong})
	if err == nil {
		t.Fatal("the image was pulled without access")
	}
	for _, part := range []string{"[", "401 Unauthorized, failed to pull", "403 Forbidden]"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("two refusals read %q, want %q in it: the secret's first, then the node's", err, part)
		}
	}
}

// configSecret is a pull secret with this docker configuration.
func configSecret(text string) corev1.Secret {
	return corev1.Secret{Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(text)}}
}
