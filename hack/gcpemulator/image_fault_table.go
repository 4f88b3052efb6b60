// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"net/http"

	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

// imageFaults is how each fault is played, and what it means.
var imageFaults = map[ImageFault]imageFaultSpec{
	TokenDenied:             {stage: atToken, cause: pullfailure.PermissionDenied, refuses: true, play: deny},
	TokenDeniedAnonymous:    {stage: atToken, cause: pullfailure.Unauthenticated, anonymous: true, play: deny},
	TokenBadCredential:      {stage: atToken, cause: pullfailure.Unauthenticated, play: say(http.StatusUnauthorized, "authentication failed")},
	TokenVPCServiceControls: {stage: atToken, cause: pullfailure.VPCServiceControls, text: pullfailure.PermissionDenied, refuses: true, play: forbid(perimeterMessage)},
	TokenAPIDisabled:        {stage: atToken, cause: pullfailure.APIDisabled, text: pullfailure.PermissionDenied, refuses: true, play: forbid(apiMessage)},
	TokenBillingDisabled:    {stage: atToken, cause: pullfailure.APIDisabled, text: pullfailure.PermissionDenied, refuses: true, play: forbid(billingMessage)},
	TokenRepositoryMissing:  {stage: atToken, cause: pullfailure.RepositoryNotFound, play: missRepository},
	TokenRateLimited:        {stage: atToken, cause: pullfailure.RateLimited, play: say(http.StatusTooManyRequests, quotaMessage)},
	TokenInternalError:      {stage: atToken, cause: pullfailure.RegistryUnavailable, play: say(http.StatusInternalServerError, "Internal error encountered.")},
	TokenUnavailable:        {stage: atToken, cause: pullfailure.RegistryUnavailable, play: say(http.StatusServiceUnavailable, "The service is currently unavailable.")},
	TokenRefused:            {stage: atToken, cause: pullfailure.Network, listen: nobody, play: redirect},
	TokenUntrusted:          {stage: atToken, cause: pullfailure.TLS, listen: untrusted, play: redirect},

	ManifestDenied:             {stage: atManifest, cause: pullfailure.PermissionDenied, refuses: true, play: deny},
	ManifestDeniedAnonymous:    {stage: atManifest, cause: pullfailure.Unauthenticated, anonymous: true, play: deny},
	ManifestBadCredential:      {stage: atManifest, cause: pullfailure.Unauthenticated, play: say(http.StatusUnauthorized, "No valid credential was supplied.")},
	ManifestVPCServiceControls: {stage: atManifest, cause: pullfailure.VPCServiceControls, refuses: true, play: forbid(perimeterMessage)},
	ManifestAPIDisabled:        {stage: atManifest, cause: pullfailure.APIDisabled, refuses: true, play: forbid(apiMessage)},
	ManifestBillingDisabled:    {stage: atManifest, cause: pullfailure.APIDisabled, refuses: true, play: forbid(billingMessage)},
	ManifestPolicyRejected:     {stage: atManifest, cause: pullfailure.PolicyRejected, refuses: true, play: forbid(ruleMessage)},
	RepositoryMissing:          {stage: atManifest, cause: pullfailure.RepositoryNotFound, text: pullfailure.ImageNotFound, play: missRepository},
	TagMissing:                 {stage: atManifest, cause: pullfailure.ImageNotFound, play: miss},
	ManifestRateLimited:        {stage: atManifest, cause: pullfailure.RateLimited, play: say(http.StatusTooManyRequests, quotaMessage)},
	ManifestShutDown:           {stage: atManifest, cause: pullfailure.RegistryUnavailable, play: page(http.StatusPreconditionFailed, "Request Rejected: Please contact project owners")},
	ManifestInternalError:      {stage: atManifest, cause: pullfailure.RegistryUnavailable, play: say(http.StatusInternalServerError, "Internal error encountered.")},
	ManifestBadGateway:         {stage: atManifest, cause: pullfailure.RegistryUnavailable, play: page(http.StatusBadGateway, gatewayPage)},
	ManifestUnavailable:        {stage: atManifest, cause: pullfailure.RegistryUnavailable, play: say(http.StatusServiceUnavailable, "The service is currently unavailable.")},
	ManifestGatewayTimeout:     {stage: atManifest, cause: pullfailure.RegistryUnavailable, play: page(http.StatusGatewayTimeout, "upstream request timeout")},

	ConnectionRefused:   {stage: atManifest, cause: pullfailure.Network, listen: nobody, play: redirect},
	ConnectionReset:     {stage: atManifest, cause: pullfailure.Network, play: func(s scene) { reset(s.w) }},
	ConnectionSilent:    {stage: atManifest, cause: pullfailure.Network, play: beSilent},
	HandshakeSilent:     {stage: atManifest, cause: pullfailure.Network, listen: silent, play: redirect},
	TLSPlainHTTP:        {stage: atManifest, cause: pullfailure.TLS, listen: plain, play: redirect},
	TLSUnknownAuthority: {stage: atManifest, cause: pullfailure.TLS, listen: untrusted, play: redirect},
	TLSExpired:          {stage: atManifest, cause: pullfailure.TLS, listen: expired, play: redirect},
	TLSOtherName:        {stage: atManifest, cause: pullfailure.TLS, listen: otherName, play: redirect},

	ManifestUnreadable:  {stage: atManifest, cause: pullfailure.CorruptContent, play: serveManifest(ociManifestType, `{"schemaVersion":2,"config":`)},
	ManifestOldSchema:   {stage: atManifest, cause: pullfailure.CorruptContent, play: serveManifest(oldManifestType, `{"schemaVersion":1,"fsLayers":[],"history":[]}`)},
	ManifestUnknownType: {stage: atManifest, cause: pullfailure.CorruptContent, text: pullfailure.ImageNotFound, play: serveManifest("application/vnd.acme.bundle.v3+json", `{"schemaVersion":3}`)},
	ManifestCorrupt:     {stage: atManifest, cause: pullfailure.CorruptContent, play: serveOtherManifest},
	PlatformMissing:     {stage: atManifest, cause: pullfailure.PlatformMismatch, play: serveManifest(ociIndexType, otherPlatformIndex)},
	BlobDenied:          {stage: atBlob, cause: pullfailure.PermissionDenied, refuses: true, play: deny},
	BlobStorageDenied:   {stage: atBlob, cause: pullfailure.PermissionDenied, listen: storage, play: redirect},
	BlobMissing:         {stage: atBlob, cause: pullfailure.ImageNotFound, play: miss},
	BlobRateLimited:     {stage: atBlob, cause: pullfailure.RateLimited, play: say(http.StatusTooManyRequests, quotaMessage)},
	BlobUnavailable:     {stage: atBlob, cause: pullfailure.RegistryUnavailable, play: say(http.StatusServiceUnavailable, "The service is currently unavailable.")},
	BlobRefused:         {stage: atBlob, cause: pullfailure.Network, listen: nobody, play: redirect},
	BlobCorrupt:         {stage: atBlob, cause: pullfailure.CorruptContent, play: serveCorrupt},
	BlobTruncated:       {stage: atBlob, cause: pullfailure.Network, play: serveTruncated},
	BlobReset:           {stage: atBlob, cause: pullfailure.Network, play: serveReset},
	LayerUnreadable:     {stage: inContent, cause: pullfailure.CorruptContent},
}

// What registries, and what stands before them, say.
const (
	perimeterMessage = "Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: emulated-perimeter-0001"
	apiMessage       = "Artifact Registry API has not been used in project 417 before or it is disabled. Enable it by visiting " +
		"https://console.developers.google.com/apis/api/artifactregistry.googleapis.com/overview?project=417 then retry. " +
		"If you enabled this API recently, wait a few minutes for the action to propagate to our systems and retry."
	billingMessage = "This API method requires billing to be enabled. Please enable billing on project #417 by visiting " +
		"https://console.developers.google.com/billing/enable?project=417 then retry."
	quotaMessage = "Quota exceeded for quota metric 'Requests per project per region' and limit 'Requests per project per region per " +
		"minute per region' of service 'artifactregistry.googleapis.com' for consumer 'project_number:417'."
	// ruleMessage is ours: how Artifact Registry words the refusal of a download rule is not known.
	ruleMessage = "Download of the artifact is blocked by policy: a download rule of the repository denies it."
	gatewayPage = "<!DOCTYPE html>\n<html><head><title>Error 502 (Server Error)!!1</title></head>" +
		"<body><p>The server encountered a temporary error and could not complete your request.</p></body></html>\n"
	storagePage = "<?xml version='1.0' encoding='UTF-8'?><Error><Code>AccessDenied</Code><Message>Access denied.</Message></Error>"

	ociManifestType = "application/vnd.oci.image.manifest.v1+json"
	ociIndexType    = "application/vnd.oci.image.index.v1+json"
	oldManifestType = "application/vnd.docker.distribution.manifest.v1+prettyjws"
	// otherPlatformIndex holds an image for a platform on which no node of ours runs.
	otherPlatformIndex = `{"schemaVersion":2,"mediaType":"` + ociIndexType + `","manifests":[{"mediaType":"` + ociManifestType +
		`","digest":"sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae","size":3,` +
		`"platform":{"architecture":"mips64le","os":"plan9"}}]}`
)
