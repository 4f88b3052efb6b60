// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
	f.Namespace, f.Pod = "web", "checkout-7d9"
	f.Puller = Puller{
		State: Present, Email: "gke-nodes@acme-prod.iam.gserviceaccount.com", Node: "node-1", Pool: "pool-1",
		Instance: "acme-prod/us-central1-a/gke-1", Cluster: Cluster{"acme-prod", "us-central1", "main"},
		Scopes: []string{"https://www.googleapis.com/auth/cloud-platform"}, Federated: Missing, Account: "default",
	}
	f.Repository = Repository{State: Present, Format: "DOCKER", Mode: "STANDARD_REPOSITORY", RegistryURI: "us-central1-docker.pkg.dev/acme-prod/services"}
	f.Access = Access{State: Missing}
	for _, e := range edit {
		e(&f)
	}
	return f
}

var (
	anonymous = strings.Replace(denial, "oauth", "anonymous", 1)
	push      = `denied: Permission "artifactregistry.repositories.uploadArtifacts" denied on resource "projects/acme-prod/locations/us-central1/repositories/services" (or it may not exist)`
	notThere  = `failed to pull and unpack image "` + image + `": failed to resolve image: ` + image + `: not found`
)

// absent is a failure that the registry did not answer with a denial, all else being well.
func absent(message string, edit ...func(*Facts)) Facts {
	f := curable(edit...)
	f.Cause = factsOf(image, message).Cause
	return f
}

func TestDiagnose(t *testing.T) {
	tests := map[string]struct {
		facts Facts
		want  Reason
		help  Help
		retry time.Duration
		why   string
	}{
		"zero facts": {facts: Facts{}, want: "NotPullFailure", help: HelpNo, why: "nothing is known, nothing is opened"},
		"curable":    {facts: curable(), want: AccessMissing, help: HelpYes},
		"curable, by the regional host": {
			facts: curable(func(f *Facts) {
				f.Reference.Registry = "docker.us-central1.rep.pkg.dev"
			}), want: AccessMissing, help: HelpYes, why: "both hosts are one repository",
		},
		"no address given":   {facts: curable(func(f *Facts) { f.Repository.RegistryURI = "" }), want: AccessMissing, help: HelpYes, why: "older answers have none, and the repository was read by its name"},
		"virtual":            {facts: curable(func(f *Facts) { f.Repository.Mode = "VIRTUAL_REPOSITORY" }), want: AccessMissing, help: HelpYes, why: "the policy decides"},
		"bad image":          {facts: factsOf("not an image", "Failed to apply default image tag"), want: "InvalidReference", help: HelpNo},
		"missing manifest":   {facts: factsOf(image, `failed to pull and unpack image "`+image+`": failed to resolve image: `+image+`: not found`), want: "ImageNotFound", help: HelpNo},
		"anonymous":          {facts: factsOf(image, strings.Replace(denial, "oauth", "anonymous", 1)), want: "Unauthenticated", help: HelpNo},
		"denied by a mirror": {facts: factsOf(image, strings.Replace(denial, "https://us-central1-docker.pkg.dev", "https://mirror.example", 1)), want: DenialUnclear},
		"other registry":     {facts: factsOf("ghcr.io/acme/app:1", `failed to pull and unpack image "ghcr.io/acme/app:1": failed to resolve image: unexpected status from HEAD request to https://ghcr.io/v2/acme/app/manifests/1: 403 Forbidden`), want: NotArtifactRegistry, help: HelpNo},
		"federated":          {facts: curable(func(f *Facts) { f.Puller.Federated = Present }), want: FederatedPuller, help: HelpNo},
		"federation unread":  {facts: curable(func(f *Facts) { f.Puller.Federated = Unknown }), want: PullerUnknown, why: "a known node account does not tell that it pulls"},
		"secret unread":      {facts: curable(func(f *Facts) { f.Puller.Secrets = []PullSecret{{Name: "key"}} }), want: PullSecretUsed, why: "a known node account does not make the secret's known"},
		"secret that matches": {
			facts: curable(func(f *Facts) {
				f.Puller.Secrets = []PullSecret{{Name: "other", State: Missing}, {Name: "key", State: Present}}
			}),
			want: PullSecretUsed,
		},
		"secret for another registry": {
			facts: curable(func(f *Facts) { f.Puller.Secrets = []PullSecret{{Name: "key", State: Missing}} }), want: AccessMissing, help: HelpYes,
		},
		"no account":      {facts: curable(func(f *Facts) { f.Puller = Puller{State: Missing, Node: "node-1", Federated: Missing} }), want: NoServiceAccount, help: HelpNo},
		"puller not read": {facts: curable(func(f *Facts) { f.Puller = Puller{} }), want: PullerUnknown},
		"nothing read": {
			facts: curable(func(f *Facts) { f.Puller, f.Repository, f.Access = Puller{}, Repository{}, Access{} }), want: "PermissionDenied",
			why: "a file tells what the registry said, and no more",
		},
		"public image": {
			facts: factsOf("gcr.io/distroless/static:1", strings.ReplaceAll(strings.ReplaceAll(denial, image, "gcr.io/distroless/static:1"), "us-central1-docker.pkg.dev", "gcr.io")),
			want:  PublicImage, help: HelpNo,
		},
		"no repository, whoever asks": {
			facts: curable(func(f *Facts) { f.Puller, f.Repository = Puller{Federated: Missing}, Repository{State: Missing} }), want: RepositoryNotFound, help: HelpNo,
		},
		"another permission to read": {facts: curable(func(f *Facts) {
			f.Cause = factsOf(image, strings.ReplaceAll(push, "uploadArtifacts", "readViaVirtualRepository")).Cause
		}), want: DenialUnclear},
		"removed, but let in by the project": {
			facts: curable(func(f *Facts) {
				f.OwnGrant, f.ProjectAccess = "services.x", Access{State: Present, Role: "roles/viewer"}
			}), want: AlreadyGranted, help: HelpNo,
		},
		"missing by its text, and there": {
			facts: absent(notThere, func(f *Facts) { f.Cause.Cause = pullfailure.RepositoryNotFound }), want: "ImageNotFound", help: HelpNo,
		},
		"anonymous, with a secret for elsewhere": {
			facts: absent(anonymous, func(f *Facts) {
				f.Puller.Scopes, f.Puller.Secrets = nil, []PullSecret{{Name: "key", State: Missing}}
			}), want: ScopesMissing, help: HelpNo,
		},
		"sandbox": {facts: curable(func(f *Facts) { f.Sandbox = true }), want: SandboxImage, help: HelpNo, why: "the image is the node's, not the pod's"},
		"API off": {
			facts: curable(func(f *Facts) {
				f.Repository = Repository{Obstacle: Obstacle{Kind: APIOff, Detail: "the API is not enabled"}}
			}),
			want: "APIDisabled", help: HelpNo,
		},
		"billing off": {facts: curable(func(f *Facts) {
			f.Repository = Repository{Obstacle: Obstacle{Kind: BillingOff, Detail: "billing is off"}}
		}), want: "APIDisabled", help: HelpNo},
		"perimeter": {
			facts: curable(func(f *Facts) { f.Repository = Repository{Obstacle: Obstacle{Kind: Perimeter, Detail: "kept out"}} }),
			want:  "VPCServiceControls", help: HelpNo,
		},
		"image missing": {facts: curable(func(f *Facts) { f.Content.State = Missing }), want: "ImageNotFound", help: HelpNo, why: "access to what is not there heals nothing"},
		"image not cached yet": {
			facts: curable(func(f *Facts) { f.Content.State, f.Repository.Mode = Missing, "REMOTE_REPOSITORY" }), want: AccessMissing, help: HelpYes,
			why: "a remote repository fetches it once it is asked for",
		},
		"access by the project": {
			facts: curable(func(f *Facts) { f.ProjectAccess = Access{State: Present, Role: "roles/editor"} }), want: AlreadyGranted, help: HelpNo,
		},
		"project policy unread": {facts: curable(func(f *Facts) { f.ProjectAccess = Access{Obstacle: Obstacle{Kind: Forbidden}} }), want: AccessMissing, help: HelpYes, why: "it is listed, and does not refuse"},
		"access from above":     {facts: curable(func(f *Facts) { f.Overall.State = Present }), want: AlreadyGranted, help: HelpNo},
		"denied above":          {facts: curable(func(f *Facts) { f.Overall = Overall{State: Missing, Denied: true} }), want: DeniedByPolicy, help: HelpNo},
		"not allowed above":     {facts: curable(func(f *Facts) { f.Overall = Overall{State: Missing} }), want: AccessMissing, help: HelpYes},
		"account made anew":     {facts: curable(func(f *Facts) { f.Access.Deleted = true }), want: AccessMissing, help: HelpYes},
		"anonymous, federated": {
			facts: absent(anonymous, func(f *Facts) { f.Puller.Federated = Present }), want: FederatedPuller, help: HelpNo,
		},
		"anonymous, no account":  {facts: absent(anonymous, func(f *Facts) { f.Puller = Puller{State: Missing, Node: "node-1"} }), want: NoServiceAccount, help: HelpNo},
		"anonymous, no scopes":   {facts: absent(anonymous, func(f *Facts) { f.Puller.Scopes = nil }), want: ScopesMissing, help: HelpNo},
		"anonymous, all there":   {facts: absent(anonymous), want: "Unauthenticated", help: HelpNo},
		"missing, no repository": {facts: absent(notThere, func(f *Facts) { f.Repository = Repository{State: Missing} }), want: RepositoryNotFound, help: HelpNo},
		"missing, not Docker":    {facts: absent(notThere, func(f *Facts) { f.Repository.Format = "NPM" }), want: RepositoryNotDocker, help: HelpNo},
		"missing, other tags":    {facts: absent(notThere, func(f *Facts) { f.Content = Content{State: Missing, Nearest: []string{"1.8.1"}} }), want: "ImageNotFound", help: HelpNo},
		"puller late":            {facts: curable(func(f *Facts) { f.Puller = Puller{Obstacle: Obstacle{Kind: Unavailable, RetryAfter: time.Minute}} }), want: PullerUnknown, retry: time.Minute},
		"puller forbidden":       {facts: curable(func(f *Facts) { f.Puller = Puller{Obstacle: Obstacle{Kind: Forbidden}} }), want: PullerUnknown},
		"puller unnamed":         {facts: curable(func(f *Facts) { f.Puller.Email = "" }), want: PullerUnknown},
		"no scopes":              {facts: curable(func(f *Facts) { f.Puller.Scopes = nil }), want: ScopesMissing, help: HelpNo},
		"other scopes":           {facts: curable(func(f *Facts) { f.Puller.Scopes = []string{"https://www.googleapis.com/auth/logging.write"} }), want: ScopesMissing, help: HelpNo},
		"no repository":          {facts: curable(func(f *Facts) { f.Repository = Repository{State: Missing} }), want: RepositoryNotFound, help: HelpNo},
		"repository unread":      {facts: curable(func(f *Facts) { f.Repository = Repository{} }), want: RepositoryUnreadable},
		"repository late": {
			facts: curable(func(f *Facts) {
				f.Repository = Repository{Obstacle: Obstacle{Kind: Unavailable, RetryAfter: 2 * time.Second}}
			}),
			want: RepositoryUnreadable, retry: 2 * time.Second,
		},
		"not Docker":        {facts: curable(func(f *Facts) { f.Repository.Format = "MAVEN" }), want: RepositoryNotDocker, help: HelpNo},
		"no format":         {facts: curable(func(f *Facts) { f.Repository.Format = "" }), want: RepositoryNotDocker, help: HelpNo},
		"unspecified mode":  {facts: curable(func(f *Facts) { f.Repository.Mode = "MODE_UNSPECIFIED" }), want: RepositoryModeUnknown, why: "a mode newer than the client reads as unspecified"},
		"served elsewhere":  {facts: curable(func(f *Facts) { f.Repository.RegistryURI = "us-docker.pkg.dev/acme-prod/services" }), want: RegistryMismatch},
		"another's address": {facts: curable(func(f *Facts) { f.Repository.RegistryURI = "us-central1-docker.pkg.dev/acme-prod/other" }), want: RegistryMismatch},
		"a longer address":  {facts: curable(func(f *Facts) { f.Repository.RegistryURI += "/more" }), want: RegistryMismatch, why: "it is not known to be the same"},
		"no address, and mode unknown": {
			facts: curable(func(f *Facts) { f.Repository.RegistryURI, f.Repository.Mode = "", "" }), want: RepositoryModeUnknown,
		},
		"mode 4":               {facts: curable(func(f *Facts) { f.Repository.Mode = "AOSS_REPOSITORY" }), want: RepositoryModeUnknown, why: "it has a name, and is not granted"},
		"mode 5":               {facts: curable(func(f *Facts) { f.Repository.Mode = "ASSURED_OSS_REPOSITORY" }), want: RepositoryModeUnknown},
		"image name forgotten": {facts: factsOf("us-central1-docker.pkg.dev/acme-prod/services:1", denial), want: "InvalidReference", help: HelpNo},
		"quota project denied": {
			facts: curable(func(f *Facts) { f.Repository = Repository{Obstacle: Obstacle{Kind: QuotaProjectDenied}} }), want: RepositoryUnreadable,
		},
		"consumer invalid": {facts: curable(func(f *Facts) { f.Repository = Repository{Obstacle: Obstacle{Kind: ConsumerInvalid}} }), want: RepositoryUnreadable},
		"location invalid": {facts: curable(func(f *Facts) { f.Repository = Repository{Obstacle: Obstacle{Kind: InvalidLocation}} }), want: RepositoryUnreadable},
		"odd address":      {facts: curable(func(f *Facts) { f.Repository.RegistryURI = "registry.example.com/x" }), want: RegistryMismatch},
		"access unread":    {facts: curable(func(f *Facts) { f.Access = Access{} }), want: AccessUnreadable},
		"access late":      {facts: curable(func(f *Facts) { f.Access = Access{Obstacle: Obstacle{Kind: Unavailable, RetryAfter: time.Hour}} }), want: AccessUnreadable, retry: time.Hour},
		"access some time": {facts: curable(func(f *Facts) { f.Access = Access{Obstacle: Obstacle{Kind: Unavailable}} }), want: AccessUnreadable, retry: soonest, why: "nobody knows when"},
		"project late": {
			facts: curable(func(f *Facts) { f.ProjectAccess = Access{Obstacle: Obstacle{Kind: Unavailable, RetryAfter: time.Hour}} }),
			want:  AccessMissing, help: HelpYes, why: "what does not decide is not waited for",
		},
		"access there": {facts: curable(func(f *Facts) { f.Access = Access{State: Present, Role: "roles/viewer"} }), want: AlreadyGranted, help: HelpNo},
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
			facts: factsOf(image, push),
			want:  PushDenied, help: HelpNo,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := Diagnose(tc.facts)
			if got.Reason != tc.want || got.Help != tc.help || got.RetryAfter != tc.retry {
				t.Errorf("Diagnose = %s, help %q, retry after %v; want %s, %q, %v (%s)", got.Reason, got.Help, got.RetryAfter, tc.want, tc.help, tc.retry, tc.why)
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

// TestEveryReasonSpeaks: no reason is left without a sentence, a command and a
// page of its own.
func TestEveryReasonSpeaks(t *testing.T) {
	fallback := sentence("", curable())
	for _, reason := range Reasons() {
		if sentence(reason, curable()) == fallback {
			t.Errorf("%s has no sentence", reason)
		}
		if command(reason, curable()) == "" {
			t.Errorf("%s has no command", reason)
		}
		if !strings.HasSuffix(reason.Page(), "#"+strings.ToLower(string(reason))) {
			t.Errorf("%s is explained at %s", reason, reason.Page())
		}
	}
}

// TestNeeds: where text and image settle it, nothing is read, and so it stays after.
func TestNeeds(t *testing.T) {
	everything := Need{Puller: true, Repository: true, Content: true, Access: true}
	if got := Needs(curable()); got != everything {
		t.Errorf("a curable failure needs %+v", got)
	}
	for name, tc := range map[string]struct {
		facts Facts
		want  Need
	}{
		"zero":           {facts: Facts{}},
		"bad image":      {facts: factsOf("not an image", "x")},
		"sandbox":        {facts: curable(func(f *Facts) { f.Sandbox = true })},
		"other registry": {facts: factsOf("ghcr.io/acme/app:1", "manifest unknown")},
		"mirror":         {facts: factsOf(image, strings.Replace(denial, "https://us-central1-docker.pkg.dev", "https://mirror.example", 1))},
		"anonymous":      {facts: factsOf(image, anonymous), want: Need{Puller: true}},
		"missing":        {facts: factsOf(image, notThere), want: Need{Repository: true, Content: true}},
	} {
		if got := Needs(tc.facts); got != tc.want || Diagnose(tc.facts).Help == HelpYes {
			t.Errorf("%s: Needs = %+v, want %+v; help %q", name, got, tc.want, Diagnose(tc.facts).Help)
		}
	}
}

// TestUnknownsAreListed: what does not refuse is at least said.
func TestUnknownsAreListed(t *testing.T) {
	forbidden := Obstacle{Kind: Forbidden, Permission: "resourcemanager.projects.getIamPolicy"}
	got := Diagnose(curable(func(f *Facts) {
		f.ProjectAccess = Access{Obstacle: forbidden, Groups: []string{"group:devs@example.com"}}
		f.Overall.Obstacle = Obstacle{Kind: Unreadable, Detail: "not all policies are seen"}
		f.Content.Obstacle = Obstacle{Kind: Unavailable, Detail: "no answer"}
	}))
	all := strings.Join(got.Unknowns, "\n")
	for _, want := range []string{"resourcemanager.projects.getIamPolicy", "group:devs@example.com", "not all policies are seen", "holds the image: no answer"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q does not say %q", all, want)
		}
	}
	if got.Help != HelpYes {
		t.Errorf("help %q", got.Help)
	}
}

// TestStrangersLearnNothing: who was denied a repository is not told what is in it,
// and an account that a pod's secret names is nobody's word for a binding.
func TestStrangersLearnNothing(t *testing.T) {
	missing := Content{State: Missing, NoPackage: true, Nearest: []string{"payroll"}}
	if d := Diagnose(curable(func(f *Facts) { f.Content = missing })); d.Reason != "ImageNotFound" || strings.Contains(d.Sentence+d.Command, "payroll") {
		t.Errorf("%s: %s %s", d.Reason, d.Sentence, d.Command)
	}
	if d := Diagnose(absent(notThere, func(f *Facts) { f.Content = missing })); !strings.Contains(d.Sentence, "payroll") {
		t.Errorf("whom the registry let in is not told what is there: %s", d.Sentence)
	}
	for name, f := range map[string]Facts{
		"secret": curable(func(f *Facts) {
			f.Puller.Secrets = []PullSecret{{Name: "key", State: Present, Email: "x@evil.iam.gserviceaccount.com"}}
		}),
		"federated": curable(func(f *Facts) { f.Puller.Federated, f.Puller.Cluster = Present, Cluster{} }),
		"anonymous": absent(anonymous, func(f *Facts) { f.Puller.Federated = Present }),
	} {
		if d := Diagnose(f); strings.Contains(d.Command, "add-iam-policy-binding") {
			t.Errorf("%s: %s offers %s", name, d.Reason, d.Command)
		}
	}
}

// TestCommandsArePasteable: whatever a file calls its objects, a shell runs nothing of it.
func TestCommandsArePasteable(t *testing.T) {
	for _, evil := range []string{"x; reboot", "$(reboot)", "`reboot`", "x\nreboot", "' reboot '", "-reboot"} {
		f := curable(func(f *Facts) {
			f.Namespace, f.Pod, f.OwnGrant = evil, evil, evil
			f.Puller.Node, f.Puller.Pool, f.Puller.Account, f.Puller.Email = evil, evil, evil, evil
			f.Puller.Instance, f.Puller.Cluster = evil+"/"+evil+"/"+evil, Cluster{evil, evil, evil}
			f.Puller.Secrets = []PullSecret{{Name: evil, Email: evil}}
			f.Cause.Evidence, f.Cause.Permission, f.Cause.Resource = evil, evil, evil
		})
		for _, reason := range Reasons() {
			if got := command(reason, f); strings.Contains(got, "reboot") {
				t.Errorf("%s: a pod called %q has %q pasted", reason, evil, got)
			}
		}
	}
}

func TestNearest(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 5, n, 0, 0, 0, 0, time.UTC) }
	tags := []Candidate{{"latest", day(9)}, {"1.8.1", day(3)}, {"1.8.4", day(4)}, {"1.7.2", day(2)}, {"1.8.20", day(1)}}
	if diff := cmp.Diff([]string{"1.8.4", "1.8.1", "1.7.2"}, Nearest("1.8.2", tags)); diff != "" {
		t.Errorf("fewest changes first, then the newest (-want +got):\n%s", diff)
	}
	if got := Nearest("1", nil); got != nil {
		t.Errorf("Nearest of nothing = %q", got)
	}
}
