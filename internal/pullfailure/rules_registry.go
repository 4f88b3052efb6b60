// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import "slices"

// codeRules know the error codes of the distribution protocol as runtimes
// print them: with spaces (docker, containers/image), as they are defined
// (crane, buildkit), or in the registry's own JSON.
// https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
var codeRules = slices.Concat(
	sayInPlace(permissionDenied, code, pulls|explained, "denied"),
	sayInPlace(permissionDenied, code, explained, "permission_denied"),       // GHCR's, within the former, and many a program's own.
	sayInPlace(unauthenticated, lesserCode, pulls|explained, "unauthorized"), // Beside denied, it only repeats it.
	sayInPlace(repositoryNotFound, code, pulls, "name unknown", "name_unknown"),
	sayInPlace(imageNotFound, code, pulls, "manifest unknown", "manifest_unknown", "manifest blob unknown", "manifest_blob_unknown",
		"blob unknown", "blob_unknown", "unknown blob"),
	sayInPlace(rateLimited, code, pulls, "toomanyrequests"),
	sayInPlace(invalidReference, code, pulls, "name invalid", "name_invalid", "tag invalid", "tag_invalid", "invalid repository name"),
	sayInPlace(corruptContent, code, pulls, "manifest invalid", "manifest_invalid", "digest invalid", "digest_invalid", "size invalid"),
	sayInPlace(0, mute, explained, "unknown", "unsupported"), // Words of the registry's own follow.

	// Google's code for a missing image is the one of a missing repository.
	say(imageNotFound, beyond, pulls, "name unknown: failed to fetch"),

	// gRPC codes, by which containerd gives the kind of its error.
	say(imageNotFound, weak, 0, "code = notfound"),
	say(cancelled, weak, 0, "code = canceled"),
	say(network, word, 0, "code = deadlineexceeded"),
	say(permissionDenied, weak, unlikely, "code = permissiondenied"),
	say(unauthenticated, weak, 0, "code = unauthenticated"),
	say(rateLimited|diskPressure, weak, 0, "code = resourceexhausted"),
)

// absenceRules know how registries and runtimes say that something is missing.
var absenceRules = slices.Concat(
	sayInPlace(imageNotFound, word, 0, "not found"),                 // containerd, of every 404
	say(imageNotFound, word, 0, "response was http.statusnotfound"), // containerd's log, of a mirror
	say(imageNotFound, sentence, 0, "requested entity was not found"),
	say(imageNotFound, sentence, pulls, "manifest for * not found", "content at * not found", "artifact * not found", "image * not found", "tag * not found", "tag * does not exist",
		"tag does not exist", "unknown tag", "no such tag", "no such image", "no such manifest", "manifest not found", "image not found", "image not known",
		"image does not exist", "requested image not found", "is not known to the registry"),
	say(repositoryNotFound, sentence, 0, "project * not found", "namespace * not found"),
	say(repositoryNotFound, sentence, pulls, "repository * not found", "repository with name * does not exist", "no such repository",
		"name not known to registry"),
	sayInPlace(repositoryNotFound, sentence, pulls, "repo not found", "repository not found", "project not found"),

	// Private or absent: Docker Hub and docker itself do not tell which.
	say(noAccess|missing, word, pulls, "pull access denied", "may require authorization", "repository does not exist or may require"),
	say(noAccess|missing, sentence, pulls|unlikely, "requested access to the resource is denied", "insufficient_scope"),
	say(permissionDenied|repositoryNotFound, sentence, pulls|unlikely, "unable to access the repository"), // gcr.io, long ago
	// The kubelet warns, goes on without the secret, and may succeed.
	say(unauthenticated|notPullFailure, word, pulls, "image pull secrets"),
)

// loadRules know the answers of a registry that can't, or won't now.
var loadRules = slices.Concat(
	say(rateLimited, sentence, 0, "quota exceeded", "pull rate limit", "rate limit exceeded", "rate exceeded", "too many failed login attempts"),
	say(rateLimited, word, 0, "too many requests", "rate limit", "rate limited", "ratelimit", "retry-after", "throttled", "throttling", "throttlingexception",
		"quota exhausted", "pull limit"),
	say(registryUnavailable, sentence, 0, "internal error encountered", "service is currently unavailable", "container registry is deprecated"),
	say(registryUnavailable, word, pulls, "decode token response", "decoding token response"),
	say(registryUnavailable|unauthenticated, word, pulls, "include a token in the response"),
	say(registryUnavailable|network, word, pulls, "no resolve hosts", "no pull hosts"),
	say(registryUnavailable, word, 0, "internal server error", "server error", "temporarily unavailable", "under maintenance", "maintenance mode",
		"registry is not available"),
	// CRI-O's kind of every transport error; the error itself says more.
	say(registryUnavailable|network|tls, weak, pulls, "registryunavailable", "registry is unavailable"),
)
