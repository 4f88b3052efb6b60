// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package observation

import (
	"context"
	"encoding/base64"
	"encoding/json"

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

// readSecret tells whether the pull secret has a credential for the image, and
// whose key it is. Nothing of the credential itself is kept.
func (o *Observer) readSecret(ctx context.Context, namespace, name string, image imageref.Image) diagnosis.PullSecret {
	found := diagnosis.PullSecret{Name: name}
	var secret corev1.Secret
	err := o.Secrets.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &secret)
	switch {
	case apierrors.IsNotFound(err):
		found.State = diagnosis.Missing // The kubelet goes on without it.
		return found
	case err != nil:
		found.Obstacle = diagnosis.Obstacle{Kind: diagnosis.Unreadable, Detail: "it may not be read"}
		return found
	}
	ring, err := keyring.NewFromPullSecrets(ctx, []corev1.Secret{secret})
	if err != nil {
		found.Obstacle = diagnosis.Obstacle{Kind: diagnosis.Unreadable, Detail: "what it holds is no pull secret"}
		return found
	}
	credential, err := ring.Resolve(target(image))
	if err != nil || credential == authn.Anonymous {
		found.State = diagnosis.Missing
		return found
	}
	found.State, found.Email = diagnosis.Present, keyOwner(credential)
	return found
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
