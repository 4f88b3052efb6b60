// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"strings"
	"testing"

	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

const (
	image  = "us-central1-docker.pkg.dev/acme-prod/services/checkout:1.8.2"
	denial = `failed to pull and unpack image "` + image + `": failed to resolve image: failed to authorize: failed to fetch oauth token: unexpected status from GET request to https://us-central1-docker.pkg.dev/v2/token?scope=repository%3Aacme-prod%2Fservices%2Fcheckout%3Apull&service=us-central1-docker.pkg.dev: 403 Forbidden`
)

func factsOf(image, message string) Facts {
	reference, err := imageref.Parse(image)
	return Facts{
		Cause:     pullfailure.Classify(pullfailure.Text{Message: message, Image: image, Reason: "ErrImagePull"}),
		Image:     image,
		Reference: reference, ReferenceErr: err,
	}
}

// curable is a failure of which everything is known and that a grant heals.
func curable(edit ...func(*Facts)) Facts {
	f := factsOf(image, denial)
	f.Puller = Puller{
		State: Present, Email: "gke-nodes@acme-prod.iam.gserviceaccount.com", Node: "node-1",
		Scopes: []string{"https://www.googleapis.com/auth/cloud-platform"},
	}
	f.Repository = Repository{State: Present, Format: "DOCKER", Mode: "STANDARD_REPOSITORY", RegistryURI: "us-central1-docker.pkg.dev/acme-prod/services"}
	f.Access = Access{State: Missing}
	for _, e := range edit {
		e(&f)
	}
	return f
}

func TestDiagnose(t *testing.T) {
	tests := map[string]struct {
		facts Facts
		want  Reason
		help  Help
		retry bool
		why   string
	}{
		"zero facts": {facts: Facts{}, want: "NotPullFailure", help: HelpNo, why: "nothing is known, nothing is opened"},
		"curable":    {facts: curable(), want: AccessMissing, help: HelpYes},
		"curable, by the regional host": {
			facts: curable(func(f *Facts) {
				f.Reference.Registry = "docker.us-central1.rep.pkg.dev"
			}), want: AccessMissing, help: HelpYes, why: "both hosts are one repository",
		},
		"no address given":   {facts: curable(func(f *Facts) { f.Repository.RegistryURI = "" }), want: AccessMissing, help: HelpYes},
		"virtual":            {facts: curable(func(f *Facts) { f.Repository.Mode = "VIRTUAL_REPOSITORY" }), want: AccessMissing, help: HelpYes, why: "the policy decides"},
		"bad image":          {facts: factsOf("not an image", "Failed to apply default image tag"), want: "InvalidReference", help: HelpNo},
		"missing manifest":   {facts: factsOf(image, `failed to pull and unpack image "`+image+`": failed to resolve image: `+image+`: not found`), want: "ImageNotFound", help: HelpNo},
		"anonymous":          {facts: factsOf(image, strings.Replace(denial, "oauth", "anonymous", 1)), want: "Unauthenticated", help: HelpNo},
		"denied by a mirror": {facts: factsOf(image, strings.Replace(denial, "https://us-central1-docker.pkg.dev", "https://mirror.example", 1)), want: DenialUnclear},
		"other registry":     {facts: factsOf("ghcr.io/acme/app:1", `failed to pull and unpack image "ghcr.io/acme/app:1": failed to resolve image: unexpected status from HEAD request to https://ghcr.io/v2/acme/app/manifests/1: 403 Forbidden`), want: NotArtifactRegistry, help: HelpNo},
		"federated":          {facts: curable(func(f *Facts) { f.Puller = Puller{Other: KubernetesServiceAccount} }), want: FederatedPuller, help: HelpNo},
		"pull secret":        {facts: curable(func(f *Facts) { f.Puller = Puller{Other: PullSecret} }), want: PullSecretUsed},
		"secret and node":    {facts: curable(func(f *Facts) { f.Puller.Other = PullSecret }), want: PullSecretUsed, why: "a known node account does not make the secret's known"},
		"no account":         {facts: curable(func(f *Facts) { f.Puller = Puller{State: Missing, Node: "node-1"} }), want: NoServiceAccount, help: HelpNo},
		"puller not read":    {facts: curable(func(f *Facts) { f.Puller = Puller{} }), want: PullerUnknown},
		"puller late":        {facts: curable(func(f *Facts) { f.Puller = Puller{Obstacle: Obstacle{Kind: Unavailable}} }), want: PullerUnknown, retry: true},
		"puller forbidden":   {facts: curable(func(f *Facts) { f.Puller = Puller{Obstacle: Obstacle{Kind: Forbidden}} }), want: PullerUnknown},
		"puller unnamed":     {facts: curable(func(f *Facts) { f.Puller.Email = "" }), want: PullerUnknown},
		"no scopes":          {facts: curable(func(f *Facts) { f.Puller.Scopes = nil }), want: ScopesMissing, help: HelpNo},
		"other scopes":       {facts: curable(func(f *Facts) { f.Puller.Scopes = []string{"https://www.googleapis.com/auth/logging.write"} }), want: ScopesMissing, help: HelpNo},
		"no repository":      {facts: curable(func(f *Facts) { f.Repository = Repository{State: Missing} }), want: RepositoryNotFound, help: HelpNo},
		"repository unread":  {facts: curable(func(f *Facts) { f.Repository = Repository{} }), want: RepositoryUnreadable},
		"repository late": {
			facts: curable(func(f *Facts) { f.Repository = Repository{Obstacle: Obstacle{Kind: Unavailable}} }),
			want:  RepositoryUnreadable, retry: true,
		},
		"not Docker":       {facts: curable(func(f *Facts) { f.Repository.Format = "MAVEN" }), want: RepositoryNotDocker, help: HelpNo},
		"no format":        {facts: curable(func(f *Facts) { f.Repository.Format = "" }), want: RepositoryNotDocker, help: HelpNo},
		"unspecified mode": {facts: curable(func(f *Facts) { f.Repository.Mode = "MODE_UNSPECIFIED" }), want: RepositoryModeUnknown, why: "a mode newer than the client reads as unspecified"},
		"served elsewhere": {facts: curable(func(f *Facts) { f.Repository.RegistryURI = "us-docker.pkg.dev/acme-prod/services" }), want: RegistryMismatch},
		"odd address":      {facts: curable(func(f *Facts) { f.Repository.RegistryURI = "registry.example.com/x" }), want: RegistryMismatch},
		"access unread":    {facts: curable(func(f *Facts) { f.Access = Access{} }), want: AccessUnreadable},
		"access late":      {facts: curable(func(f *Facts) { f.Access = Access{Obstacle: Obstacle{Kind: Unavailable}} }), want: AccessUnreadable, retry: true},
		"access there":     {facts: curable(func(f *Facts) { f.Access = Access{State: Present, Role: "roles/viewer"} }), want: AlreadyGranted, help: HelpNo},
		"our own access": {
			facts: curable(func(f *Facts) { f.Access, f.OwnGrant = Access{State: Present}, "services.x" }),
			want:  WaitingForPropagation, help: HelpYes,
		},
		"our own access, long ago": {
			facts: curable(func(f *Facts) { f.Access, f.OwnGrant, f.OwnGrantSettled = Access{State: Present}, "services.x", true }),
			want:  AlreadyGranted, help: HelpNo, why: "it has spread; something else blocks the pull, and no restart ends that",
		},
		"our access, taken away": {
			facts: curable(func(f *Facts) { f.OwnGrant = "services.x" }),
			want:  RemovedExternally, help: HelpNo, why: "what somebody removed is not put back",
		},
		"push": {
			facts: factsOf(image, `denied: Permission "artifactregistry.repositories.uploadArtifacts" denied on resource "projects/acme-prod/locations/us-central1/repositories/services" (or it may not exist)`),
			want:  PushDenied, help: HelpNo,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := Diagnose(tc.facts)
			if got.Reason != tc.want || got.Help != tc.help || got.Retry != tc.retry {
				t.Errorf("Diagnose = %s, help %q, retry %v; want %s, %q, %v (%s)", got.Reason, got.Help, got.Retry, tc.want, tc.help, tc.retry, tc.why)
			}
			if s := got.Sentence; s == "" || !strings.HasSuffix(s, ".") || strings.Contains(s, "%!") || strings.Contains(s, "  ") {
				t.Errorf("sentence %q is not fit to be shown", s)
			}
			if strings.Contains(got.Command, "test-iam-permissions") {
				t.Errorf("command %q does not exist", got.Command)
			}
		})
	}
}

// TestEveryReasonSpeaks: no reason is left without a sentence of its own.
func TestEveryReasonSpeaks(t *testing.T) {
	fallback, _ := explain("", curable())
	for _, reason := range Reasons() {
		if sentence, _ := explain(reason, curable()); sentence == fallback {
			t.Errorf("%s has no sentence", reason)
		}
	}
}

// TestSettledReadsNothing: where text and image settle it, so do they after the
// cloud was read; and what is curable is never settled.
func TestSettledReadsNothing(t *testing.T) {
	if Settled(curable()) {
		t.Error("a curable failure is settled before the cloud is read")
	}
	for name, f := range map[string]Facts{
		"zero":      {},
		"anonymous": factsOf(image, strings.Replace(denial, "oauth", "anonymous", 1)),
		"bad image": factsOf("not an image", "x"),
	} {
		if !Settled(f) || Diagnose(f).Help == HelpYes {
			t.Errorf("%s: Settled = %v, help %q", name, Settled(f), Diagnose(f).Help)
		}
	}
}
