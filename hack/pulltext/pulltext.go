// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pulltext holds what a runtime makes of a played fault against the fault: the cause that is read from the text must
// be the one that was played. It is for the tests of the hollow and of the real node. What plays a node that pulls nothing
// takes its words from here.
package pulltext

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

// GoogleImage is the image that has the fault on a registry that a grant can open. The fault is part of the name, and must
// not be read from there.
func GoogleImage(fault gcpemulator.ImageFault) string {
	return "us-central1-docker.pkg.dev/acme-prod-417/faults/" + string(fault) + ":1"
}

var googleOnly = []gcpemulator.ImageFault{gcpemulator.ManifestShutDown, gcpemulator.ManifestDeniedAnonymous, gcpemulator.TokenRepositoryMissing}

// OtherImage is GoogleImage on another registry, which no grant can open. It is not there for a fault that is Google's own.
func OtherImage(fault gcpemulator.ImageFault) (image string, ok bool) {
	if slices.Contains(googleOnly, fault) {
		return "", false
	}
	return "registry.example.com/team/" + string(fault) + ":1", true
}

// Text is what a runtime made of one fault.
type Text struct {
	Fault                  gcpemulator.ImageFault
	Image, Reason, Message string
}

// Check tells what is wrong with the reading of the text.
func (t Text) Check() error {
	image, err := imageref.Parse(t.Image)
	if err != nil {
		return err
	}
	verdict := pullfailure.Classify(pullfailure.Text{Message: t.Message, Image: t.Image, Reason: t.Reason})
	var wrong []string
	if verdict.Cause != t.Fault.TextCause() {
		wrong = append(wrong, fmt.Sprintf("cause %s on %q, want %s", verdict.Cause, verdict.Evidence, t.Fault.TextCause()))
	}
	repairable := image.Google() && t.Fault.RefusesIdentity() && t.Fault.TextCause() == pullfailure.PermissionDenied
	if verdict.Repairable() != repairable {
		wrong = append(wrong, fmt.Sprintf("repairable is %t, want %t", verdict.Repairable(), repairable))
	}
	if t.Fault.Anonymous() && verdict.CredentialSent != pullfailure.CredentialNo {
		wrong = append(wrong, fmt.Sprintf("credential sent is %s, want No", verdict.CredentialSent))
	}
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("%s of %s: %s: the text is\n%s", t.Fault, t.Image, strings.Join(wrong, "; "), t.Message)
}
