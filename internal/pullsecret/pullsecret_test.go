// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullsecret

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func secret(kind corev1.SecretType, key, text string) corev1.Secret {
	return corev1.Secret{Type: kind, Data: map[string][]byte{key: []byte(text)}}
}

func configSecret(text string) corev1.Secret {
	return secret(corev1.SecretTypeDockerConfigJson, corev1.DockerConfigJsonKey, text)
}

func TestLookup(t *testing.T) {
	const repository = "us-central1-docker.pkg.dev/acme-prod-417/services/checkout"
	for name, tc := range map[string]struct {
		secrets    []corev1.Secret
		repository string
		want       []string
		why        string
	}{
		"none":         {why: "no secret, no credential"},
		"host":         {secrets: []corev1.Secret{configSecret(`{"auths":{"us-central1-docker.pkg.dev":{"username":"a","password":"x"}}}`)}, want: []string{"a"}, why: "the host is the image's"},
		"scheme":       {secrets: []corev1.Secret{configSecret(`{"auths":{"https://us-central1-docker.pkg.dev/v2/":{"username":"a"}}}`)}, want: []string{"a"}, why: "scheme and API version don't count"},
		"encoded":      {secrets: []corev1.Secret{configSecret(`{"auths":{"us-central1-docker.pkg.dev":{"auth":"YTp4"}}}`)}, want: []string{"a"}, why: "auth is user:password in base64"},
		"pattern":      {secrets: []corev1.Secret{configSecret(`{"auths":{"*.pkg.dev":{"username":"a"}}}`)}, want: []string{"a"}, why: "a label may be a pattern"},
		"labels":       {secrets: []corev1.Secret{configSecret(`{"auths":{"pkg.dev":{"username":"a"},"*.dev":{"username":"b"}}}`)}, why: "a pattern stands for one label"},
		"other host":   {secrets: []corev1.Secret{configSecret(`{"auths":{"europe-docker.pkg.dev":{"username":"a"}}}`)}, why: "it is meant for another host"},
		"other path":   {secrets: []corev1.Secret{configSecret(`{"auths":{"us-central1-docker.pkg.dev/other":{"username":"a"}}}`)}, why: "it is meant for another project"},
		"longer first": {secrets: []corev1.Secret{configSecret(`{"auths":{"us-central1-docker.pkg.dev":{"username":"a"}}}`), configSecret(`{"auths":{"us-central1-docker.pkg.dev/acme-prod-417":{"username":"b"}}}`)}, want: []string{"b", "a"}, why: "all that match are tried, the narrower first"},
		"old type":     {secrets: []corev1.Secret{secret(corev1.SecretTypeDockercfg, corev1.DockerConfigKey, `{"us-central1-docker.pkg.dev":{"username":"a"}}`)}, want: []string{"a"}, why: "the older type has no auths around"},
		"no type":      {secrets: []corev1.Secret{secret(corev1.SecretTypeOpaque, corev1.DockerConfigJsonKey, `{"auths":{"*.pkg.dev":{"username":"a"}}}`)}, why: "the type decides, not the key"},
		"port":         {repository: "localhost:5000/app", secrets: []corev1.Secret{configSecret(`{"auths":{"localhost":{"username":"a"},"localhost:5000":{"username":"b"}}}`)}, want: []string{"b"}, why: "the port is part of the address"},
		"not a URL":    {secrets: []corev1.Secret{configSecret(`{"auths":{"us-central1-docker.pkg.dev:x":{"username":"a"},"*.pkg.dev":{"username":"b"}}}`)}, want: []string{"b"}, why: "an address that is no URL is ignored"},
		"bad pattern":  {secrets: []corev1.Secret{configSecret(`{"auths":{"[.pkg.dev":{"username":"a"}}}`)}, why: "a malformed pattern matches nothing"},
		"unpadded":     {secrets: []corev1.Secret{configSecret(`{"auths":{"*.pkg.dev":{"auth":"YWI6eA"}}}`)}, want: []string{"ab"}, why: "auth may lack its padding"},
		"Docker Hub":   {repository: "docker.io/library/busybox", secrets: []corev1.Secret{configSecret(`{"auths":{"https://index.docker.io/v1/":{"username":"a"}}}`)}, want: []string{"a"}, why: "Docker Hub is known by its first name"},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.repository == "" {
				tc.repository = repository
			}
			found, err := Lookup(tc.secrets, tc.repository)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, users(found)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.why, diff)
			}
		})
	}
}

func TestLookupRefusesMalformedSecrets(t *testing.T) {
	for name, text := range map[string]string{
		"cut off":          `{"auths":`,
		"no configuration": `["auths"]`,
		"auth not base64":  `{"auths":{"ghcr.io":{"auth":"s3cret!"}}}`,
		"auth without ':'": `{"auths":{"ghcr.io":{"auth":"YQ=="}}}`,
	} {
		found, err := Lookup([]corev1.Secret{configSecret(text)}, "ghcr.io/acme/app")
		if !errors.Is(err, ErrMalformed) || len(found) > 0 {
			t.Errorf("%s: got %d credentials, %v; want ErrMalformed", name, len(found), err)
		}
	}
}

func users(found []Credential) []string {
	var users []string
	for _, credential := range found {
		users = append(users, credential.Username)
	}
	return users
}
