// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	google1 = "us-central1-docker.pkg.dev/acme-prod/services/checkout:1.8.2"
	frame   = `failed to pull and unpack image "` + google1 + `": failed to resolve reference "` + google1 + `": `
	head    = "unexpected status from HEAD request to https://us-central1-docker.pkg.dev/v2/acme-prod/services/checkout/manifests/1.8.2: "
	token   = "unexpected status from GET request to https://us-central1-docker.pkg.dev/v2/token?scope=repository%3Aacme-prod%2Fservices%2Fcheckout%3Apull&service=us-central1-docker.pkg.dev: "
	oauth   = frame + "failed to authorize: failed to fetch oauth token: " + token
	nobody  = frame + "failed to authorize: failed to fetch anonymous token: " + token
	denial  = `denied: Permission "artifactregistry.repositories.downloadArtifacts" denied on resource "projects/acme-prod/locations/us-central1/repositories/services" (or it may not exist)`
)

func TestClassifyVerdict(t *testing.T) {
	tests := map[string]struct {
		text Text
		want Verdict
	}{
		"nothing": {want: Verdict{Cause: NotPullFailure}},
		"an identity is refused a token": {
			text: Text{Message: oauth + "403 Forbidden", Image: google1},
			want: Verdict{Cause: PermissionDenied, Evidence: "403 Forbidden", HTTPStatus: 403, CredentialSent: CredentialYes, Host: "us-central1-docker.pkg.dev", repairable: true},
		},
		"nobody is refused a token": {
			text: Text{Message: nobody + "403 Forbidden", Image: google1},
			want: Verdict{Cause: Unauthenticated, Evidence: "403 Forbidden", HTTPStatus: 403, CredentialSent: CredentialNo, Host: "us-central1-docker.pkg.dev"},
		},
		"the registry names permission and resource": {
			text: Text{Message: frame + head + "403 Forbidden\n" + denial, Image: google1},
			want: Verdict{
				Cause: PermissionDenied, Evidence: `Permission "artifactregistry.repositories.downloadArtifacts" denied on resource`, HTTPStatus: 403,
				Permission: "artifactregistry.repositories.downloadArtifacts", Resource: "projects/acme-prod/locations/us-central1/repositories/services",
				CredentialSent: CredentialYes, Host: "us-central1-docker.pkg.dev", repairable: true,
			},
		},
		"a push is refused": {
			text: Text{Message: strings.ReplaceAll(frame+denial, "downloadArtifacts", "uploadArtifacts"), Image: google1},
			want: Verdict{
				Cause: PermissionDenied, Evidence: `Permission "artifactregistry.repositories.uploadArtifacts" denied on resource`,
				Permission: "artifactregistry.repositories.uploadArtifacts", Resource: "projects/acme-prod/locations/us-central1/repositories/services",
				CredentialSent: CredentialYes,
			},
		},
		"private or absent": {
			text: Text{Message: "Error response from daemon: pull access denied for acme/api, repository does not exist or may require 'docker login'", Image: "acme/api"},
			want: Verdict{Cause: Ambiguous, Candidates: []Cause{PermissionDenied, Unauthenticated, ImageNotFound, RepositoryNotFound}, Evidence: "pull access denied"},
		},
		"the status before 1.32": {
			text: Text{Message: `Back-off pulling image "` + google1 + `"`, Image: google1, Reason: "ImagePullBackOff"},
			want: Verdict{Cause: BackOff, Evidence: "Back-off pulling image"},
		},
		"only a reason": {
			text: Text{Image: google1, Reason: "InvalidImageName"},
			want: Verdict{Cause: InvalidReference},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Classify(tc.text), cmp.AllowUnexported(Verdict{})); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestClassifyCause(t *testing.T) {
	tests := map[string]struct {
		message, image, reason string
		want                   Cause
	}{
		// Several attempts in one text.
		"missing, and an anonymous retry refused":  {message: "[rpc error: code = NotFound desc = " + frame + google1 + ": not found, " + nobody + "403 Forbidden]", want: ImageNotFound},
		"refused, and another credential invalid":  {message: "[" + oauth + "403 Forbidden, " + oauth + "401 Unauthorized]", want: PermissionDenied},
		"invalid credential, then refused":         {message: "[" + oauth + "401 Unauthorized, " + oauth + "403 Forbidden]", want: PermissionDenied},
		"wrong platform, and then nobody":          {message: "[" + frame + "no match for platform in manifest: not found, " + nobody + "403 Forbidden]", want: PlatformMismatch},
		"an outage, and an invalid credential":     {message: "[" + oauth + "503 Service Unavailable, " + oauth + "401 Unauthorized]", want: Unauthenticated},
		"a short name tried in two registries":     {message: "2 errors occurred while pulling:\n * initializing source docker://a.example/x: reading manifest 1 in a.example/x: name unknown: Repo not found\n * initializing source docker://b.example/x: unauthorized: Please login", want: Ambiguous},
		"CRI-O tries it as an artifact too":        {message: "unable to pull image or OCI artifact: pull image err: initializing source docker://" + google1 + ": reading manifest 1.8.2 in x: toomanyrequests: Quota exceeded; artifact err: manifest unknown: x", want: RateLimited},
		"two codes of one answer":                  {message: frame + head + "403 Forbidden\nerrors:\n" + denial + "\nunauthorized\n", want: PermissionDenied},
		"the status of docker's own API is no one": {message: `(HTTP code 500) server error - Get https://registry-1.docker.io/v2/: dial tcp: lookup registry-1.docker.io: no such host`, want: Network},

		// The cloud's own refusals, all of them a 403.
		"perimeter":        {message: frame + head + "403 Forbidden\ndenied: Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: abc", want: VPCServiceControls},
		"perimeter, cut":   {message: frame + head + "403 Forbidden\ndenied: Request is prohibi", want: VPCServiceControls},
		"API off":          {message: "denied: Artifact Registry API has not been used in project 1 before or it is disabled.", want: APIDisabled},
		"billing off":      {message: "denied: This API method requires billing to be enabled.", want: APIDisabled},
		"API off, as JSON": {message: frame + `{"error":{"code":403,"status":"PERMISSION_DENIED","details":[{"reason":"SERVICE_DISABLED"}]}}`, want: APIDisabled},

		// Words that mean another thing than they seem.
		"connect: permission denied":   {message: frame + `failed to do request: Head "https://x/v2/": dial tcp 10.0.0.1:443: connect: permission denied`, want: Network},
		"a handshake that timed out":   {message: frame + `failed to do request: Head "https://x/v2/": net/http: TLS handshake timeout`, want: Network},
		"a proxy's 403":                {message: `Get "https://us-docker.pkg.dev/v2/": Forbidden`, image: google1, want: Network},
		"the kubelet's own rate limit": {message: "pull QPS exceeded", image: google1, reason: "ErrImagePull", want: RateLimited},
		"a snapshot is not found":      {message: frame + `failed to prepare extraction snapshot "x": parent snapshot sha256:0 does not exist: not found`, want: CorruptContent},
		"a size that looks like a 403": {message: frame + "failed size validation: 403 != 404: failed precondition", want: CorruptContent},
		"the runtime was stopped":      {message: "rpc error: code = Unavailable desc = error reading from server: EOF", image: google1, reason: "ErrImagePull", want: Cancelled},
		"the runtime's socket":         {message: `Failed to pull image "x": rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial unix /run/containerd/containerd.sock: connect: connection refused"`, want: Cancelled},
		"HTTP spoken to HTTPS":         {message: frame + "400 Bad Request: Client sent an HTTP request to an HTTPS server.", want: TLS},
		"a path that is too short":     {message: "unexpected status from HEAD request to https://us-docker.pkg.dev/v2/acme/app/manifests/1: 400 Bad Request", image: "us-docker.pkg.dev/acme/app:1", want: InvalidReference},
		"nginx's texts":                {message: frame + head + "504 Gateway Time-out", want: RegistryUnavailable},
		"a bare code":                  {message: "ghcr.io/acme/app: denied\ndenied", want: PermissionDenied},
		"the helper is not there":      {message: `error getting credentials - err: exec: "docker-credential-gcr": executable file not found in $PATH, out: ` + "``", want: CredentialProvider},
		"a short name":                 {message: `short-name "app" did not resolve to an alias and no unqualified-search registries are defined in "/etc/containers/registries.conf"`, want: InvalidReference},
		"admission refuses an image":   {message: `admission webhook "imagepolicywebhook.image-policy.k8s.io" denied the request: Image x denied by Binary Authorization cluster admission rule`, reason: "FailedCreate", want: PolicyRejected},

		// Names that are bare words.
		"an image called denied":     {message: "Error: denied: not found", image: "denied", want: ImageNotFound},
		"an image called x, refused": {message: "Error: denied: not found", image: "x", want: PermissionDenied},

		// Not about a pull.
		"a probe":                     {message: `Readiness probe failed: Get "http://10.0.0.1:8080/v2/": dial tcp 10.0.0.1:8080: connect: connection refused`, reason: "Unhealthy", want: NotPullFailure},
		"a container that crashes":    {message: "Back-off restarting failed container", reason: "BackOff", want: NotPullFailure},
		"a secret is not found":       {message: `Error: secret "registry" not found`, image: google1, reason: "Failed", want: NotPullFailure},
		"the pod's network":           {message: `Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "1": plugin type="calico" failed (add): connection is unauthorized: Unauthorized`, reason: "FailedCreatePodSandBox", want: NotPullFailure},
		"a perimeter around a bucket": {message: "AccessDeniedException: 403 Request is prohibited by organization's policy.", want: NotPullFailure},
		"a volume":                    {message: `MountVolume.SetUp failed for volume "c" : secret "c" not found`, reason: "FailedMount", want: NotPullFailure},

		// New wordings: no answer is better than a wrong one.
		"an unknown sentence":        {message: frame + "the registry is having a rather bad day", want: Ambiguous},
		"an unknown sentence, alone": {message: "the registry is having a rather bad day", image: google1, reason: "ErrImagePull", want: BackOff},
		"a stage, cut":               {message: frame + "failed to authorize: failed to fetch oauth tok", want: Ambiguous},
		"a status, cut":              {message: oauth + "40", want: Ambiguous},
		"a status without its text":  {message: oauth + "403", want: PermissionDenied},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			v := Classify(Text{Message: tc.message, Image: tc.image, Reason: tc.reason})
			if v.Cause != tc.want {
				t.Errorf("%s on %q, candidates %v, want %s", v.Cause, v.Evidence, v.Candidates, tc.want)
			}
		})
	}
}

// Nothing that a name may be can change a cause.
func TestClassifyCutsNames(t *testing.T) {
	names := []string{
		"manifest-unknown:403-forbidden", "denied:unauthorized", "not-found/toomanyrequests:429", "x509/tls:eof", "no-space-left-on-device:500",
		"unauthorized@sha256:" + strings.Repeat("403", 21) + "4", "pull-access-denied/name-unknown:denied", "code-notfound:401",
		"anonymous-token:oauth", "vpcservicecontrolsuniqueidentifier:1", "errimageneverpull:never",
	}
	for _, name := range names {
		for _, host := range []string{"us-central1-docker.pkg.dev/acme-prod/services/", "docker.io/library/", "eu.gcr.io/denied/"} {
			image := host + name
			repository, tag, _ := strings.Cut(name, ":")
			escaped := strings.NewReplacer("/", "%2F", ":", "%3A").Replace(host + repository)
			for message, want := range map[string]Cause{
				`failed to pull and unpack image "` + image + `": failed to resolve reference "` + image + `": unexpected status from HEAD request to https://` + host + `v2/` + repository + `/manifests/` + tag + `: 503 Service Unavailable`: RegistryUnavailable,
				`failed to authorize: failed to fetch oauth token: unexpected status from GET request to https://h/v2/token?scope=repository%3A` + escaped + `%3Apull&service=h: 429 Too Many Requests`:                                         RateLimited,
				`pulling from host registry.example failed with status code [manifests ` + tag + `]: 502 Bad Gateway`:                                                                                                                           RegistryUnavailable,
				`initializing source docker://` + image + `: reading manifest ` + tag + ` in ` + host + repository + `: manifest unknown: Failed to fetch "` + tag + `"`:                                                                        ImageNotFound,
				`manifest for ` + name + ` not found: manifest unknown: manifest unknown`:                                                                                                                                                       ImageNotFound,
				`Back-off pulling image "` + image + `"`: BackOff,
				`Back-off pulling image "` + name + `"`:  BackOff,
			} {
				v := Classify(Text{Message: message, Image: image, Reason: "Failed"})
				if v.Cause != want {
					t.Errorf("%s on %q, want %s of\n%s", v.Cause, v.Evidence, want, message)
				}
				if v.Repairable() {
					t.Errorf("repairable: %s", message)
				}
			}
		}
	}
}

func TestCredentialSentAsJSON(t *testing.T) {
	for sent, want := range map[CredentialSent]string{CredentialUnknown: `"unknown"`, CredentialYes: `"yes"`, CredentialNo: `"no"`} {
		if got, err := json.Marshal(sent); err != nil || string(got) != want {
			t.Errorf("%s is written as %s, %v; want %s", sent, got, err, want)
		}
	}
}

func TestVerdictHost(t *testing.T) {
	const hub = "library/busybox:1"
	headOf := func(url string) string {
		return "failed to resolve image: unexpected status from HEAD request to " + url + ": 403 Forbidden"
	}
	tests := map[string]struct {
		message, image string
		host           string
		mirror         bool
	}{
		"the registry itself":           {message: frame + head + "403 Forbidden", image: google1, host: "us-central1-docker.pkg.dev"},
		"its token endpoint":            {message: oauth + "403 Forbidden", image: google1, host: "us-central1-docker.pkg.dev"},
		"a mirror":                      {message: headOf("https://mirror.example/v2/acme-prod/services/checkout/manifests/1?ns=us-central1-docker.pkg.dev"), image: google1, host: "mirror.example", mirror: true},
		"a mirror that does not answer": {message: `failed to do request: Head "https://mirror.example/v2/library/busybox/manifests/1?ns=docker.io": dial tcp 10.0.0.1:443: i/o timeout`, image: hub, host: "mirror.example", mirror: true},
		"a mirror under containerd 1.6": {message: "pulling from host mirror.gcr.io failed with status code [manifests 1]: 403 Forbidden", image: "docker.io/" + hub, host: "mirror.gcr.io", mirror: true},
		"Docker Hub":                    {message: headOf("https://registry-1.docker.io/v2/library/busybox/manifests/1"), image: hub, host: "registry-1.docker.io"},
		"another host's token endpoint": {message: "failed to fetch oauth token: unexpected status from GET request to https://gitlab.example/jwt/auth?service=container_registry: 403 Forbidden", image: "registry.gitlab.example/a/b:1", host: "gitlab.example"},
		"a port":                        {message: headOf("https://10.0.0.1:5000/v2/a/b/manifests/1"), image: "10.0.0.1:5000/a/b:1", host: "10.0.0.1:5000"},
		"no host":                       {message: "Requesting bearer token: invalid status code from registry 403 (Forbidden)", image: google1},
		"no image to compare with":      {message: headOf("https://mirror.example/v2/a/b/manifests/1"), host: "mirror.example"},
		"mirrors, and then the registry": {
			message: "(Mirrors also failed: [mirror.example/a/b:1: reading manifest 1 in mirror.example/a/b: name unknown: repository a/b not found]): reg.example/a/b:1: reading manifest 1 in reg.example/a/b: manifest unknown",
			image:   "reg.example/a/b:1",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			v := Classify(Text{Message: tc.message, Image: tc.image, Reason: "Failed"})
			if v.Host != tc.host || v.Mirror != tc.mirror {
				t.Errorf("host %q, mirror %v, want %q, %v", v.Host, v.Mirror, tc.host, tc.mirror)
			}
		})
	}
}

func TestVerdictUpstream(t *testing.T) {
	for message, want := range map[string]bool{
		frame + head + "403 Forbidden\ndenied: Upstream registry quay.io responded with 403 Forbidden": true,
		frame + head + "403 Forbidden\n" + denial:                                                      false,
	} {
		if v := Classify(Text{Message: message, Image: google1}); v.Upstream != want || v.Upstream && v.Repairable() {
			t.Errorf("%+v, want upstream %v of\n%s", v, want, message)
		}
	}
}
