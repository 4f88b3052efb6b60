// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pullsecret finds the credentials that image pull secrets hold for a repository, by the rules of the
// kubelet. It is pure: its callers read the secrets, and it keeps no part of them.
package pullsecret

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// dockerHub is the entry for Docker Hub if no entry matches the image's own host.
const dockerHub = "index.docker.io"

// ErrMalformed reports a pull secret that the kubelet cannot read either. It contains no part of the
// secret.
var ErrMalformed = errors.New("the pull secret is malformed")

// Credential is a user name and a password for a registry.
type Credential struct {
	Username, Password string
}

// Lookup returns the credentials in the secrets for the repository (HOST/PATH without a tag), longer paths first.
// It ignores secrets of other types. It returns ErrMalformed if a secret cannot be read. Source:
// k8s.io/kubernetes/pkg/credentialprovider of Kubernetes 1.37.
func Lookup(secrets []corev1.Secret, repository string) ([]Credential, error) {
	var entries []entry
	for i := range secrets {
		more, err := entriesOf(&secrets[i])
		if err != nil {
			return nil, err
		}
		entries = append(entries, more...)
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return strings.Compare(b.key(), a.key()) })
	var found, hub []Credential
	for _, e := range entries {
		if e.matches(repository) {
			found = append(found, e.credential)
		}
		if e.key() == dockerHub {
			hub = append(hub, e.credential)
		}
	}
	if host, _, _ := strings.Cut(repository, "/"); len(found) == 0 && (host == "docker.io" || host == dockerHub) {
		return hub, nil
	}
	return found, nil
}

// entry is one entry of a Docker configuration.
type entry struct {
	// host may contain a pattern in each label. path is "" or begins with a slash.
	host, path string
	credential Credential
}

func (e entry) key() string { return e.host + e.path }

// matches compares host names label by label, the port literally and the path as a prefix.
func (e entry) matches(repository string) bool {
	host, rest, _ := strings.Cut(repository, "/")
	if !strings.HasPrefix("/"+rest, e.path) {
		return false
	}
	pattern, wantPort, _ := strings.Cut(e.host, ":")
	name, port, _ := strings.Cut(host, ":")
	want, labels := strings.Split(pattern, "."), strings.Split(name, ".")
	if wantPort != port || len(want) != len(labels) {
		return false
	}
	for i := range want {
		if ok, err := path.Match(want[i], labels[i]); err != nil || !ok {
			return false
		}
	}
	return true
}

// login is a credential in a Docker configuration. auth, if set, takes precedence over the other two.
type login struct {
	Username string `json:"username"`
	Password string `json:"password"`
	Auth     string `json:"auth"`
}

// entriesOf reads a secret of one of the two types that the kubelet knows.
func entriesOf(secret *corev1.Secret) ([]entry, error) {
	var logins map[string]login
	switch {
	case secret.Type == corev1.SecretTypeDockerConfigJson && len(secret.Data[corev1.DockerConfigJsonKey]) > 0:
		var config struct {
			Auths map[string]login `json:"auths"`
		}
		if json.Unmarshal(secret.Data[corev1.DockerConfigJsonKey], &config) != nil {
			return nil, ErrMalformed
		}
		logins = config.Auths
	case secret.Type == corev1.SecretTypeDockercfg && len(secret.Data[corev1.DockerConfigKey]) > 0:
		if json.Unmarshal(secret.Data[corev1.DockerConfigKey], &logins) != nil {
			return nil, ErrMalformed
		}
	}
	var entries []entry
	for _, address := range slices.Sorted(maps.Keys(logins)) {
		credential, err := logins[address].credential()
		if err != nil {
			return nil, err
		}
		if host, prefix, ok := splitAddress(address); ok {
			entries = append(entries, entry{host: host, path: prefix, credential: credential})
		}
	}
	return entries, nil
}

func (l login) credential() (Credential, error) {
	if l.Auth == "" {
		return Credential{Username: l.Username, Password: l.Password}, nil
	}
	encoding := base64.RawStdEncoding
	if strings.HasSuffix(strings.TrimSpace(l.Auth), "=") {
		encoding = base64.StdEncoding
	}
	decoded, err := encoding.DecodeString(l.Auth)
	username, password, ok := strings.Cut(string(decoded), ":")
	if err != nil || !ok {
		return Credential{}, ErrMalformed
	}
	return Credential{Username: username, Password: password}, nil
}

// splitAddress returns the host and the path of a registry's address. The version of the registry API, /v1/ or /v2/,
// is not part of the path. The kubelet ignores an address that is not a URL.
func splitAddress(address string) (host, prefix string, ok bool) {
	if !strings.HasPrefix(address, "https://") && !strings.HasPrefix(address, "http://") {
		address = "https://" + address
	}
	parsed, err := url.Parse(address)
	if err != nil {
		return "", "", false
	}
	prefix = parsed.Path
	if strings.HasPrefix(prefix, "/v1/") || strings.HasPrefix(prefix, "/v2/") {
		prefix = prefix[len("/v1"):]
	}
	if prefix == "/" {
		prefix = ""
	}
	return parsed.Host, prefix, true
}
