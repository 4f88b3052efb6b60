// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import "slices"

// frameRules know the words that runtimes and the kubelet put around an
// answer: what was being done, how often, and with which credential.
var frameRules = slices.Concat(
	// Each credential, mirror or registry that is tried begins with one of these.
	say(0, mute, opens, "rpc error", "error response from daemon"),
	say(0, mute, opens|pulls, "failed to pull and unpack image", "initializing source", "error initializing source", "pull image err"),
	say(0, mute, again|pulls, "artifact err"),   // CRI-O ≥ 1.32 tries the reference as an artifact too.
	say(0, mute, many|pulls, "errors occurred"), // Of podman: a short name in several registries.

	// Which credential asked for the token. CRI-O and docker do not say.
	say(answered, weak, sent|pulls, "fetch oauth token"),
	say(answered, weak, notSent|pulls, "fetch anonymous token"),
	say(0, mute, asked|atToken, "token: unexpected status"),

	say(unread, weak, pulls|atToken, "requesting bearer token", "requesting bear token"),

	// CRI-O, what else is made of containers/image, and docker.
	say(0, mute, silent, "invalid status code from registry", "received unexpected http status", "error parsing http", "statuscode"),

	// That a pull failed, and no more.
	say(backOff, hint, pulls, "back-off pulling image", "errimagepull", "imagepullbackoff", "failed to pull image", "unable to find image * locally"),

	// A stage that failed: what can't have been reached yet is no candidate.
	say(answered, weak, 0, "unexpected status"),
	say(unread, weak, pulls, "failed to resolve", "failed to authorize",
		"reading manifest", "fetching manifest", "pinging container registry", "pinging docker registry"),
	say(network|tls|cancelled, weak, pulls, "failed to do request"),
	say(network, weak, pulls, "no available registry endpoint"),        // containerd 1.2, when no host answered
	say(network, weak, pulls, "after attempts=*"),                      // docker repeats what the network broke
	say(unauthenticated, weak, pulls, "unable to retrieve auth token"), // containers/image, of every 401

	// That the text is about a pull.
	say(0, mute, pulls, "failed to pull", "unable to pull", "error pulling", "failed pulling", "pulling image", "pull image", "pulling from host",
		"cannotpullcontainererror", "pullimage", "image pull", "httpreadseeker", "trying next host", "failed to solve",
		"manifest", "reading blob", "writing blob", "fetching blob", "register layer", "registry", "error from registry", "auth token", "authentication token"),

	say(0, mute, pulls|decisive, "sandbox image"), // The pod's sandbox failed for want of it.

	// What a grant on the image's own repository can't bring.
	say(0, mute, unlikely|upstream, "upstream"),
	say(0, mute, unlikely, "failed to push", "error pushing"),
	say(0, mute, unlikely|pulls, "artifactregistry.repositories.uploadartifacts"),
)

// kubeletRules know what the kubelet says for itself, without asking a registry.
var kubeletRules = slices.Concat(
	say(invalidReference, kubelet, pulls, "invalid reference format", "invalid tag format", "repository name must be", "parse image name",
		"parse image reference", "cannot parse input", "failed to apply default image tag", "invalidimagename", "invalid checksum digest", "unsupported digest algorithm"),
	say(neverPull, kubelet, pulls, "errimageneverpull", "with pull policy of never"),
	say(rateLimited, kubelet, pulls, "pull qps exceeded"), // Its own rate limit, registryPullQPS.
)

// otherRules know texts that are about something else than pulling.
var otherRules = slices.Concat(
	say(0, mute, other, "probe failed", "probe errored", "hook failed", "failed to exec in container"),
	say(0, mute, other, "back-off restarting", "crashloopbackoff", "container process", "oci runtime", "imagevolumemountfailed", "runasnonroot", "failed to start", "failed to create containerd task",
		"exit code", "oomkilled", "createcontainerconfigerror", "createcontainererror", "runcontainererror", "no command specified", "run as non-root"),
	say(0, mute, other, "mountvolume", "unmountvolume", "attachvolume", "mount failed", "references non-existent", "find key", "error: secret", "error: configmap"),
	say(0, mute, other, "network for sandbox", "sandbox changed", "container runtime network not ready", "error killing pod"),
	say(0, mute, other, "nodes are available", "insufficient cpu", "insufficient memory", "was low on resource", "garbage collect", "admission webhook"),
)
