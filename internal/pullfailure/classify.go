// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import (
	"bytes"
	"strings"
)

// Text is what is known of one failure before its cause.
type Text struct {
	// Message is the waiting state's or the event's, whole.
	Message string
	// Image is the pod's own reference, from its spec; empty if unknown.
	Image string
	// Reason is the waiting state's or the event's; empty if unknown.
	Reason string
}

// The part of a long text that is looked at: runtimes put the frame first and
// the last error last.
const (
	maxHead = 6 << 10
	maxTail = 2 << 10
)

// Classify tells the cause that a text supports. It never fails: a text that
// does not settle the cause is Ambiguous, BackOff or NotPullFailure.
func Classify(t Text) Verdict {
	text, whole := t.Message, true
	if len(text) > maxHead+maxTail {
		text, whole = Truncate(text), false
	}
	if own := ownAnswer(text); len(own) < len(text) {
		text, whole = own, false
	}
	s := scanner{text: text, low: fold(text)}
	if strings.IndexByte(t.Image, '/') < 0 && strings.IndexByte(t.Image, ':') < 0 {
		s.image = t.Image
	}
	s.scan()
	v := s.verdict(t)
	v.repairable = whole && s.repairable(v, t.Image)
	return v
}

func (s *scanner) verdict(t Text) Verdict {
	best, set := s.merge(t.Image)
	if set == permissionDenied && best.rank == code && google(t.Image) && s.unfinished(best.end) {
		set = noAccess | vpcServiceControls | apiDisabled // Google says all of them so.
	}
	reason := ofReason(t.Reason)
	if reason == 0 && !s.aboutPull(t, best != nil) {
		return Verdict{Cause: NotPullFailure}
	}
	if best == nil || best.rank <= weak && reason&^backOff != 0 {
		if reason == 0 {
			reason = backOff
		}
		return Verdict{Cause: reason.cause()}
	}
	v := Verdict{
		Cause: set.cause(), HTTPStatus: best.status,
		Host: Sanitize(best.server.host), Mirror: best.server.mirrors(t.Image), Upstream: best.marks&upstream != 0,
	}
	if v.Cause == Ambiguous {
		v.Candidates = set.list()
	}
	switch {
	case best.marks&notSent != 0:
		v.CredentialSent = CredentialNo
	case best.marks&sent != 0:
		v.CredentialSent = CredentialYes
	}
	if best.marks&iam != 0 && best.rank == sentence {
		v.Permission, v.Resource = named(s.text, best.start)
	}
	v.Evidence = Sanitize(s.text[best.start:best.end])
	return v
}

// unfinished tells whether the text goes on after from, and ends in the middle of
// a sentence.
func (s *scanner) unfinished(from int) bool {
	rest := bytes.TrimLeft(s.low[from:], `: "`)
	return len(rest) > 0 && (class[rest[len(rest)-1]]&wordByte != 0 || space(rest[len(rest)-1]))
}

// aboutPull tells whether the text is about pulling an image at all, where the
// reason does not say so.
func (s *scanner) aboutPull(t Text, anyCause bool) bool {
	switch {
	case s.marks&decisive != 0:
		return true
	case s.marks&elsewhere != 0:
		return false
	case s.marks&pulls != 0:
		return true
	case t.Reason != "" && t.Reason != "Failed":
		return false
	case anyCause:
		return t.Image != "" || namesRegistry(s.text)
	}
	return t.Image != "" && s.marks&other == 0
}

// registries are parts of names that only registries have.
var registries = []string{
	"/v2/", "/v1/_ping", "/v1/repositories", "artifactregistry.", "docker.io", "docker.com", "gcr.io", "pkg.dev",
	"quay.io", ".dkr.ecr.", "azurecr.io", "image",
}

func namesRegistry(text string) bool {
	for _, name := range registries {
		if strings.Contains(text, name) {
			return true
		}
	}
	return false
}

// ofReason is what a waiting state's or an event's reason says by itself.
func ofReason(reason string) causeSet {
	switch reason {
	case "InvalidImageName":
		return invalidReference
	case "ErrImageNeverPull":
		return neverPull
	case "SignatureValidationFailed":
		return policyRejected
	case "RegistryUnavailable":
		return registryUnavailable
	case "ErrImagePull", "ImagePullBackOff", "ImageInspectError", "InspectFailed":
		return backOff
	}
	return 0
}
