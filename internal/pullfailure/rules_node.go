// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import "slices"

// nodeRules know what keeps a node from using an image that it may read.
var nodeRules = slices.Concat(
	say(diskPressure, node, 0, "no space left on device", "disk quota exceeded", "not enough space"),
	say(diskPressure, word, 0, "insufficient space", "not enough disk", "disk full", "disk is full"),

	say(platformMismatch, node, pulls, "no match for platform", "no matching manifest for", "no image found in image index for architecture",
		"no image found in manifest list for architecture", "no child with platform", "does not match the specified platform", "operating system is not supported",
		"cannot be used on this platform", "descriptor matching platform"),
	say(platformMismatch, word, 0, "exec format error", "incompatible with a"),

	// Short names, which containers/image won't guess.
	say(invalidReference, node, pulls, "unqualified-search registries", "short name mode is enforcing", "did not resolve to an alias", "short-name resolution enforced"),
	say(invalidReference, word, 0, "object required"),
)

// policyRules know the policies that refuse an image that may be read.
var policyRules = slices.Concat(
	say(policyRejected, node, pulls, "source image rejected", "rejected by policy", "signaturevalidationfailed", "signature validation failed", "signature was required",
		"none of the signatures were accepted", "invalid gpg signature", "signature verification failed", "image verifier", "due to configured policy"),
	// Admission and download rules: about the image, whatever the text begins with.
	say(policyRejected, node, pulls|decisive, "image policy webhook", "imagepolicywebhook", "denied by binary authorization", "no attestations found",
		"failed to verify signature", "image verification failed", "no matching signatures", "cosign", "download blocking policy"),
	say(policyRejected, sentence, 0, "policy violation", "violates policy", "blocked by policy", "download blocked", "cannot be pulled due"),
	say(policyRejected, word, 0, "is blocked by", "quarantined", "not signed"),
)

// contentRules know content that is not what was announced, or that the
// runtime can't unpack.
var contentRules = slices.Concat(
	say(corruptContent, node, pulls, "unexpected commit digest", "unexpected commit size", "failed size validation", "digest did not match", "digest mismatch",
		"checksum mismatch", "checksum does not match", "verification failed for digest", "does not match provided manifest digest", "does not match config's diffid",
		"wrong diff id", "mismatched image rootfs", "match image configuration", "layer verification failed"),
	say(corruptContent, node, pulls, "invalid tar header", "untar re-exec error", "gzip: invalid header", "gzip: invalid checksum", "zstd: invalid", "flate: corrupt input",
		"invalid compressed data", "layer does not exist", "potentially insufficient uids or gids", "don't match diffids", "diffids don't match",
		"size mismatch", "rejecting * byte manifest"),
	say(corruptContent, node, pulls, "unsupported media type", "unsupported mediatype", "unsupported mime type", "unexpected media type", "mediatype in manifest", "media type * is no longer",
		"unsupported docker v2s2 media type", "no processor for media-type", "unsupported image-specific operation", "unsupported schema version", "unsupported manifest",
		"unknown manifest", "cannot unmarshal", "missing signature key", "schema 1 image", "schema 1 support", "pulling schema 1"), // The last four: manifests of before 2017.

	// What was being done when something more telling may have happened.
	say(corruptContent, word, pulls, "failed to extract layer", "failed to register layer", "applylayer", "failed to unpack image", "mount callback failed", "invalid desc",
		"parent snapshot", "failed to stat snapshot", "failed to prepare extraction snapshot",
		"import layer", "failed to get reader from content store"),
	say(corruptContent, word, 0, "error processing tar file", "processing tar file", "unpacking failed", "unexpected end of json input", "content digest"),
	say(corruptContent, weak, 0, "looking for beginning of value", "unexpected content type"),
)
