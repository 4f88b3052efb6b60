// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package facts

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	keyring "github.com/google/go-containerregistry/pkg/authn/kubernetes"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

const (
	// maxSecrets bounds how many pull secrets of a pod are looked at: a pod may name
	// any number, and each costs a read.
	maxSecrets = 16
	// secretsKept bounds how many answers are remembered, secretsFor how long.
	secretsKept = 4096
	secretsFor  = time.Minute
)

// secretKey is what an answer depends on.
type secretKey struct {
	namespace, name, image string
}

// readSecrets looks at the pod's pull secrets in their order, up to the first that
// has, or may have, a credential for the image.
func (o *Observer) readSecrets(ctx context.Context, namespace string, facts *diagnosis.Facts) error {
	if o.Secrets == nil {
		return nil
	}
	for i := range facts.Puller.Secrets[:min(len(facts.Puller.Secrets), maxSecrets)] {
		secret := &facts.Puller.Secrets[i]
		key := secretKey{namespace, secret.Name, target(facts.Reference).String()}
		known, ok := o.secrets.Get(key)
		found, _ := known.(diagnosis.PullSecret)
		if !ok {
			var err error
			if found, err = o.readSecret(ctx, namespace, secret.Name, facts.Reference); err != nil {
				return err
			}
			o.secrets.Add(key, found, secretsFor)
		}
		*secret = found
		if found.State != diagnosis.Missing {
			break
		}
	}
	return nil
}

// readSecret tells whether the pull secret has a credential for the image, and
// whose key it is. Nothing of the credential itself is kept.
func (o *Observer) readSecret(ctx context.Context, namespace, name string, image imageref.Image) (diagnosis.PullSecret, error) {
	found := diagnosis.PullSecret{Name: name}
	var secret corev1.Secret
	err := o.Secrets.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &secret)
	switch {
	case apierrors.IsNotFound(err):
		found.State = diagnosis.Missing // The kubelet goes on without it.
		return found, nil
	case apierrors.IsForbidden(err):
		found.Obstacle = diagnosis.Obstacle{Kind: diagnosis.Unreadable, Detail: "it may not be read"}
		return found, nil
	case err != nil:
		return found, fmt.Errorf("read pull secret %s/%s: %w", namespace, name, err)
	}
	credential, valid := credentialFor(ctx, secret, image)
	switch {
	case !valid:
		found.Obstacle = diagnosis.Obstacle{Kind: diagnosis.Unreadable, Detail: "what it holds is no pull secret"}
	case credential == authn.Anonymous:
		found.State = diagnosis.Missing
	default:
		found.State, found.Email = diagnosis.Present, keyOwner(credential)
	}
	return found, nil
}

// credentialFor looks up the image as the kubelet does; authn.Anonymous if the
// secret has nothing for it, and not valid if it is no pull secret.
func credentialFor(ctx context.Context, secret corev1.Secret, image imageref.Image) (_ authn.Authenticator, valid bool) {
	ring, err := keyring.NewFromPullSecrets(ctx, []corev1.Secret{secret})
	if err != nil {
		return nil, false
	}
	credential, err := ring.Resolve(target(image))
	return credential, err == nil
}

// target is the image as credentials are looked up for it.
type target imageref.Image

func (t target) String() string      { return t.Registry + "/" + t.Path }
func (t target) RegistryStr() string { return t.Registry }

// keyOwner is the service account whose key serves as the password, "" if none does.
// https://cloud.google.com/artifact-registry/docs/docker/authentication#json-key
func keyOwner(credential authn.Authenticator) string {
	config, err := credential.Authorization()
	if err != nil {
		return ""
	}
	key := []byte(config.Password)
	switch config.Username {
	case "_json_key":
	case "_json_key_base64":
		if key, err = base64.StdEncoding.DecodeString(config.Password); err != nil {
			return ""
		}
	default:
		return ""
	}
	var owner struct {
		Email string `json:"client_email"`
	}
	if json.Unmarshal(key, &owner) != nil || !iampolicy.IsServiceAccountMember(v1alpha1.ServiceAccountMember(owner.Email)) {
		return ""
	}
	return owner.Email
}
