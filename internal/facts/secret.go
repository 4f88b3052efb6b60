// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package facts

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/pullsecret"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

const (
	// secretsKept bounds how many answers are remembered, secretsFor how long.
	secretsKept = 2048
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
	for i := range facts.Puller.Secrets[:min(len(facts.Puller.Secrets), workload.MaxSecrets)] {
		secret := &facts.Puller.Secrets[i]
		key := secretKey{namespace, workload.TruncateSecretName(secret.Name), repositoryOf(facts.Reference)}
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
	if len(name) > validation.DNS1123SubdomainMaxLength {
		found.State = diagnosis.Missing // A pod may reference a name that no Secret can have.
		return found, nil
	}
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
	credentials, err := pullsecret.Lookup([]corev1.Secret{secret}, repositoryOf(image))
	switch {
	case err != nil:
		found.Obstacle = diagnosis.Obstacle{Kind: diagnosis.Unreadable, Detail: "what it holds is no pull secret"}
	case len(credentials) == 0:
		found.State = diagnosis.Missing
	default:
		found.State, found.Email = diagnosis.Present, keyOwner(credentials[0])
	}
	return found, nil
}

// repositoryOf returns the key for the lookup of an image's credentials.
func repositoryOf(image imageref.Image) string { return image.Registry + "/" + image.Path }

// keyOwner is the service account whose key serves as the password, "" if none does.
// https://cloud.google.com/artifact-registry/docs/docker/authentication#json-key
func keyOwner(credential pullsecret.Credential) string {
	key := []byte(credential.Password)
	switch credential.Username {
	case "_json_key":
	case "_json_key_base64":
		var err error
		if key, err = base64.StdEncoding.DecodeString(credential.Password); err != nil {
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
