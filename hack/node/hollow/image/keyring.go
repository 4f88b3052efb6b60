// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/transfer/registry"
	"github.com/docker/cli/cli/config/configfile"
	corev1 "k8s.io/api/core/v1"
)

// dockerHub is the entry of Docker Hub in a docker configuration, whatever an image calls its host.
const dockerHub = "index.docker.io"

// entry is one line of a pod's pull secrets.
type entry struct {
	// match is HOST or HOST/PATH without a scheme; each label of the host may be a pattern.
	match      string
	credential registry.Credentials
}

// fromSecrets lists the credentials that a pod's pull secrets hold for a repository, the ones for a longer path first.
func fromSecrets(secrets []corev1.Secret, repository string) ([]registry.Credentials, error) {
	var entries []entry
	for i := range secrets {
		more, err := entriesOf(&secrets[i])
		if err != nil {
			return nil, fmt.Errorf("read pull secret %s: %w", secrets[i].Name, err)
		}
		entries = append(entries, more...)
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return strings.Compare(b.match, a.match) })
	found := matching(entries, repository)
	if host, _, _ := strings.Cut(repository, "/"); len(found) == 0 && host == "docker.io" {
		found = matching(entries, dockerHub)
	}
	return found, nil
}

func matching(entries []entry, repository string) []registry.Credentials {
	var found []registry.Credentials
	for _, e := range entries {
		if matches(e.match, repository) {
			found = append(found, e.credential)
		}
	}
	return found
}

// entriesOf reads a secret of either type; others hold nothing for kubelet.
func entriesOf(secret *corev1.Secret) ([]entry, error) {
	data := secret.Data[corev1.DockerConfigJsonKey]
	if secret.Type == corev1.SecretTypeDockercfg {
		data = slices.Concat([]byte(`{"auths":`), secret.Data[corev1.DockerConfigKey], []byte(`}`))
	} else if secret.Type != corev1.SecretTypeDockerConfigJson || len(data) == 0 {
		return nil, nil
	}
	config := configfile.New("")
	if err := config.LoadFromReader(bytes.NewReader(data)); err != nil {
		return nil, err
	}
	var entries []entry
	for address, auth := range config.AuthConfigs {
		_, match, schemed := strings.Cut(address, "://")
		if !schemed {
			match = address
		}
		host, rest, _ := strings.Cut(match, "/")
		// The version of the registry's API is no part of a repository's name.
		for _, version := range []string{"v1", "v2"} {
			if after, ok := strings.CutPrefix(rest, version+"/"); ok {
				rest = after
			}
		}
		entries = append(entries, entry{
			match:      strings.TrimSuffix(host+"/"+rest, "/"),
			credential: registry.Credentials{Username: auth.Username, Secret: auth.Password},
		})
	}
	return entries, nil
}

// matches follows kubelet: hosts label by label, paths as prefixes.
func matches(pattern, repository string) bool {
	wantHost, wantPath, _ := strings.Cut(pattern, "/")
	host, rest, _ := strings.Cut(repository, "/")
	want, labels := strings.Split(wantHost, "."), strings.Split(host, ".")
	if len(want) != len(labels) || !strings.HasPrefix(rest, wantPath) {
		return false
	}
	for i := range want {
		if ok, err := path.Match(want[i], labels[i]); err != nil || !ok {
			return false
		}
	}
	return true
}
