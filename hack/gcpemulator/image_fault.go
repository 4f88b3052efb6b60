// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"fmt"
	"maps"
	"slices"

	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

// ImageFault is one way in which the pull of an image fails. The set is closed:
// ImageFaults lists it.
type ImageFault string

// What the token endpoint answers, or what keeps it from answering.
const (
	TokenDenied             ImageFault = "token-denied"               // The identity lacks the permission.
	TokenDeniedAnonymous    ImageFault = "token-denied-anonymous"     // Nobody asked; meant for pulls without a credential.
	TokenBadCredential      ImageFault = "token-bad-credential"       // The credential is none of the registry's.
	TokenVPCServiceControls ImageFault = "token-vpc-service-controls" // A service perimeter refuses.
	TokenAPIDisabled        ImageFault = "token-api-disabled"
	TokenBillingDisabled    ImageFault = "token-billing-disabled"
	TokenRepositoryMissing  ImageFault = "token-repository-missing" // To an identity that may read the whole project.
	TokenRateLimited        ImageFault = "token-rate-limited"
	TokenInternalError      ImageFault = "token-internal-error"
	TokenUnavailable        ImageFault = "token-unavailable"
	TokenRefused            ImageFault = "token-refused"   // The token endpoint sends clients to where nobody listens.
	TokenUntrusted          ImageFault = "token-untrusted" // It sends them to a host with a certificate of an unknown authority.
)

// What answers to the request for a manifest, once a token was given.
const (
	ManifestDenied             ImageFault = "manifest-denied"
	ManifestDeniedAnonymous    ImageFault = "manifest-denied-anonymous" // Meant for pulls without a credential.
	ManifestBadCredential      ImageFault = "manifest-bad-credential"
	ManifestVPCServiceControls ImageFault = "manifest-vpc-service-controls"
	ManifestAPIDisabled        ImageFault = "manifest-api-disabled"
	ManifestBillingDisabled    ImageFault = "manifest-billing-disabled"
	ManifestPolicyRejected     ImageFault = "manifest-policy-rejected" // A download rule refuses the image.
	RepositoryMissing          ImageFault = "repository-missing"
	TagMissing                 ImageFault = "tag-missing"
	ManifestRateLimited        ImageFault = "manifest-rate-limited"
	ManifestShutDown           ImageFault = "manifest-shut-down" // 412, as Container Registry answers since its end.
	ManifestInternalError      ImageFault = "manifest-internal-error"
	ManifestBadGateway         ImageFault = "manifest-bad-gateway" // A load balancer's page.
	ManifestUnavailable        ImageFault = "manifest-unavailable"
	ManifestGatewayTimeout     ImageFault = "manifest-gateway-timeout"
)

// What happens to the connection, or to what comes over it.
const (
	ConnectionRefused   ImageFault = "connection-refused"
	ConnectionReset     ImageFault = "connection-reset"
	ConnectionSilent    ImageFault = "connection-silent" // The request is taken and never answered: containerd waits 30 seconds.
	HandshakeSilent     ImageFault = "handshake-silent"  // The TLS handshake is never answered: containerd waits 10 seconds.
	TLSPlainHTTP        ImageFault = "tls-plain-http"
	TLSUnknownAuthority ImageFault = "tls-unknown-authority"
	TLSExpired          ImageFault = "tls-expired"
	TLSOtherName        ImageFault = "tls-other-name"
)

// What the image holds, or what keeps the node from reading it.
const (
	ManifestUnreadable  ImageFault = "manifest-unreadable"   // JSON that ends too early.
	ManifestOldSchema   ImageFault = "manifest-old-schema"   // Of Docker before 1.10.
	ManifestUnknownType ImageFault = "manifest-unknown-type" // A media type that no runtime knows.
	ManifestCorrupt     ImageFault = "manifest-corrupt"      // Another manifest than announced.
	PlatformMissing     ImageFault = "platform-missing"      // An index without the node's platform.
	BlobDenied          ImageFault = "blob-denied"
	BlobStorageDenied   ImageFault = "blob-storage-denied" // By the storage that the registry sends clients to.
	BlobMissing         ImageFault = "blob-missing"
	BlobRateLimited     ImageFault = "blob-rate-limited"
	BlobUnavailable     ImageFault = "blob-unavailable"
	BlobRefused         ImageFault = "blob-refused" // Nobody listens where the registry sends clients to.
	BlobCorrupt         ImageFault = "blob-corrupt" // Other bytes than announced.
	BlobTruncated       ImageFault = "blob-truncated"
	BlobReset           ImageFault = "blob-reset"
	LayerUnreadable     ImageFault = "layer-unreadable" // The bytes announced, and no archive.
)

// ImageFaults lists all image faults.
func ImageFaults() []ImageFault { return slices.Sorted(maps.Keys(imageFaults)) }

// Cause is why the pull fails in fact.
func (f ImageFault) Cause() pullfailure.Cause { return imageFaults[f].cause }

// TextCause is the cause that containerd's text of it supports. It differs from
// Cause where containerd drops what the registry said: of the token endpoint's
// answer nothing but the status is kept, and a 404 is "not found" whatever it says.
func (f ImageFault) TextCause() pullfailure.Cause {
	spec := imageFaults[f]
	if spec.text == "" {
		return spec.cause
	}
	return spec.text
}

// RefusesIdentity tells whether an identity is answered 403 by the registry: of
// no other fault may a text be held for one that a grant could heal.
func (f ImageFault) RefusesIdentity() bool { return imageFaults[f].refuses }

// Anonymous tells whether the fault is meant for pulls without a credential.
func (f ImageFault) Anonymous() bool { return imageFaults[f].anonymous }

// AtUnpacking tells whether the fault shows only when the image is unpacked.
func (f ImageFault) AtUnpacking() bool { return f == LayerUnreadable }

// imageStage is the part of a pull at which a fault is played. What stands before
// it works for everybody, whatever IAM says.
type imageStage int

const (
	atToken imageStage = iota
	atManifest
	atBlob
	inContent // Nothing is refused: the stored image is the fault.
)

// imageFaultSpec is how a fault is played.
type imageFaultSpec struct {
	stage imageStage
	cause pullfailure.Cause
	// text is set where containerd's text supports another cause.
	text      pullfailure.Cause
	refuses   bool
	anonymous bool
	// listen opens what clients are sent to; its URL is the scene's.
	listen func(e *Emulator) (url string, err error)
	play   func(s scene)
}

// SetImageFault plays a fault at each pull of an image, with whatever tag or
// digest, until ClearFaults. The image need not be stored, nor its repository be
// there, nor the puller have access: whoever comes as far as the fault gets it.
func (e *Emulator) SetImageFault(image string, fault ImageFault) error {
	spec, known := imageFaults[fault]
	if !known {
		return fmt.Errorf("set fault of image %s: there is no fault %q", image, fault)
	}
	parsed, err := imageref.Parse(image)
	if err != nil {
		return fmt.Errorf("set fault %s: %w", fault, err)
	}
	set := setImageFault{imageFaultSpec: spec, image: parsed}
	if spec.listen != nil {
		if set.url, err = spec.listen(e); err != nil {
			return fmt.Errorf("set fault %s of image %s: %w", fault, image, err)
		}
	}
	switch {
	case fault == LayerUnreadable:
		err = e.pushUnreadableLayer(image)
	case spec.stage == atBlob:
		err = e.PushImage(image)
	}
	if err != nil {
		return fmt.Errorf("set fault %s: %w", fault, err)
	}
	e.faults.setImage(parsed.Registry+"/"+parsed.Path, set)
	return nil
}
