// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import "regexp"

// advice is what to do with a registry that is not Artifact Registry.
type advice struct {
	host *regexp.Regexp
	// access is for a pull that was refused or anonymous, as the end of a sentence.
	access string
	// rate is for a pull that was one too many, beginning with a semicolon.
	rate string
}

const mirrored = "; log in with a pull secret, or pull through a remote repository of Artifact Registry"

// registries are known by their hosts. A private Harbor or Nexus has any name.
var registries = []advice{
	{host(`docker\.io`), "Docker Hub shows private images to their owners only: check the name, and give the pod a pull secret with an access token", mirrored},
	{host(`ghcr\.io`), "the GitHub Container Registry takes a personal access token with read:packages: give the pod a pull secret that holds one", mirrored},
	{host(`[0-9]+\.dkr[.-]ecr[a-z-]*\.[a-z0-9-]+\.(amazonaws\.com|on\.aws)(\.cn)?`), "Amazon ECR takes passwords that last 12 hours: have a pull secret renewed by a credential helper or by external-secrets", ""},
	{host(`public\.ecr\.aws`), "Amazon ECR Public refuses a login that has expired: renew or remove the pull secret", mirrored},
	{host(`[a-z0-9-]+\.azurecr\.(io|cn|us)`), "Azure Container Registry takes a token or a service principal with AcrPull: give the pod a pull secret that holds one", ""},
	{host(`(.+\.)?quay\.io`), "Quay takes robot accounts: give the pod the pull secret of one that may read the repository", mirrored},
	{host(`registry\.gitlab\.com`), "GitLab takes deploy tokens with read_registry: give the pod a pull secret that holds one", ""},
	{host(`.+\.jfrog\.io`), "Artifactory takes identity tokens: give the pod a pull secret that holds one with read permission", ""},
	{host(`harbor\..+|.+\.harbor\..+`), "Harbor takes robot accounts: give the pod the pull secret of one that may pull from the project", ""},
	{host(`.*`), "give the pod a pull secret for that registry", ""},
}

func host(pattern string) *regexp.Regexp { return regexp.MustCompile(`^(` + pattern + `)$`) }

// adviceOf never fails: the last entry matches every host.
func adviceOf(f Facts) advice {
	for _, a := range registries {
		if a.host.MatchString(f.Reference.Registry) {
			return a
		}
	}
	return advice{}
}
