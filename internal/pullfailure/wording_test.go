// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import (
	"fmt"
	"slices"
	"testing"
)

// Wordings of runtimes, registries and clouds that no text of testdata has.
func TestClassifyWordings(t *testing.T) {
	const (
		foreign = "registry.example/team/app:1"
		url     = `Head "https://registry.example/v2/team/app/manifests/1": `
	)
	unpack := func(rest string) string { return fmt.Sprintf("failed to pull and unpack image %q: %s", foreign, rest) }
	tests := map[string]struct {
		message, image, reason string
		want                   Cause
		among                  []Cause // Of Ambiguous.
	}{
		// The token endpoint.
		"its answer is a page":           {message: unpack("failed to authorize: failed to fetch oauth token: unable to decode token response: invalid character '<' looking for beginning of value"), want: RegistryUnavailable},
		"its answer holds no token":      {message: unpack("failed to authorize: failed to fetch oauth token: authorization server did not include a token in the response"), want: Ambiguous, among: []Cause{Unauthenticated, RegistryUnavailable}},
		"no name to give it":             {message: unpack("failed to authorize: failed to handle basic auth because missing username or secret"), want: Unauthenticated},
		"a login that is still to be":    {message: "Error response from daemon: Get x: denied: You may not login yet", image: foreign, want: Unauthenticated},
		"anonymous users are refused":    {message: "unable to pull image or OCI artifact: ... denied: Anonymous users may read public repositories only", image: foreign, want: Unauthenticated},
		"a code of Docker's registry v1": {message: "fbea2d67e633: Error pulling image (2.2.1) from gcr.io/google_containers/etcd, HTTP code 404", image: foreign, want: ImageNotFound},
		"a code that a program returned": {message: "you are not authorized to perform this operation: server returned 401.", image: foreign, want: Unauthenticated},
		"its 404 is the registry's":      {message: nobody + "404 Not Found", image: google1, want: RepositoryNotFound},
		"its 404, without a URL":         {message: frame + "failed to authorize: failed to fetch oauth token: unexpected status: 404 Not Found", image: google1, want: RepositoryNotFound},
		"its 404, of CRI-O":              {message: "Requesting bearer token: received unexpected HTTP status: 404 Not Found", image: google1, want: RepositoryNotFound},
		"its 404, of no image":           {message: token + "404 Not Found", want: RepositoryNotFound},
		"another registry's 404":         {message: unpack("failed to authorize: failed to fetch oauth token: unexpected status from GET request to https://registry.example/token: 404 Not Found"), image: foreign, want: ImageNotFound},
		"a manifest's 404":               {message: frame + head + "404 Not Found", image: google1, want: ImageNotFound},
		"its 401, without a reason":      {message: "Requesting bearer token: unable to retrieve auth token: no answer", image: foreign, want: Unauthenticated},
		"Amazon's session":               {message: "level=error msg=\"pull stopped: denied: The security token included in the request is not one of ours\"", image: foreign, want: Unauthenticated},
		"an address that is kept out":    {message: "Error response from daemon: denied: client with IP '192.0.2.7' is not allowed access.", image: google1, want: PermissionDenied},

		// The cloud.
		"a service that is off":    {message: "Error response from daemon: " + url + "unknown: Service 'containerregistry.googleapis.com' is not enabled for consumer 'project:acme'.", want: APIDisabled},
		"a project that is halted": {message: frame + head + "403 Forbidden\ndenied: Consumer project 4711 has been suspended.", want: APIDisabled},
		"a project that is gone":   {message: frame + head + "403 Forbidden\ndenied: Project 4711 has been deleted.", want: APIDisabled},

		// The way there.
		"a proxy of SOCKS":             {message: unpack("failed to do request: " + url + "socks connect tcp 10.0.0.9:1080->registry.example:443: unknown error host unreachable"), want: Network},
		"a proxy refuses":              {message: "Error response from daemon: " + url + "Forbidden", image: foreign, want: Network},
		"the registry's own Forbidden": {message: "Error response from daemon: unknown: Forbidden: the artifact was refused", image: foreign, want: PermissionDenied},
		"no host to ask":               {message: unpack("failed to resolve image: no resolve hosts: not found"), want: Ambiguous, among: []Cause{Network, RegistryUnavailable}},
		"a key of the client":          {message: unpack("failed to load X509 key pair: open client.cert: no such file or directory"), want: TLS},
		"docker itself is away":        {message: "rpc error: code = Unknown desc = Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?", image: foreign, want: Cancelled},
		"the runtime does not answer":  {message: `Failed to inspect image "": rpc error: code = DeadlineExceeded desc = context deadline exceeded`, image: foreign, reason: "ImageInspectError", want: Ambiguous, among: []Cause{Network, Cancelled}},
		"CRI-O's kind of error, cut":   {message: "RegistryUnavailable: unable to pull image: pinging container registry registry.example: Get \"https://registry.example/v2/\": dial tc", want: Ambiguous, among: []Cause{Network, TLS, RegistryUnavailable}},
		"mirrors, and the registry":    {message: "(Mirrors also failed: [mirror.example/a: reading manifest 1 in mirror.example/a: name unknown: x]): " + foreign + ": reading manifest 1 in registry.example/team/app: manifest unknown", want: ImageNotFound},
		"mirrors, on several lines":    {message: "(Mirrors also failed:\n [mirror.example/a: manifest unknown]):\n ...: unauthorized: authentication required", image: foreign, want: Unauthenticated},
		"the registry is lost":         {message: "(Mirrors also failed: [mirror.example/a: reading manifest 1 in mirror.example/a: manifest unknown", want: ImageNotFound},
		"a locally missing image":      {message: "Unable to find image 'registry.example/team/app:1' locally\ndocker: Error response from daemon: error from registry: unauthorized", image: foreign, want: Unauthenticated},
		"a policy's words for a 412":   {message: unpack("unexpected status code https://registry.example/v2/team/app/manifests/1: 412 Precondition Failed - Server message: unknown: The image is not signed."), want: PolicyRejected},

		// The node and the content.
		"room for the snapshot":          {message: unpack(`failed to prepare extraction snapshot "x": mkdir /var/lib/x: no space left on device: unknown`), want: DiskPressure},
		"layers that don't match":        {message: unpack("number of layers and diffIDs don't match: 4 != 3: invalid argument"), want: CorruptContent},
		"a manifest that is too big":     {message: unpack("rejecting 20971520 byte manifest for registry.example/team/app:1: not found"), want: CorruptContent},
		"a configuration of no kind":     {message: `parsing image configuration: unsupported MIME type "text/html"`, image: foreign, want: CorruptContent},
		"no descriptor for this node":    {message: "image Manifest does not contain descriptor matching platform", image: foreign, want: PlatformMismatch},
		"a short name without an alias":  {message: `short-name "app" did not resolve to an alias and no containers-registries.conf(5) was found`, image: "app", want: InvalidReference},
		"the sandbox's image":            {message: `Failed to create pod sandbox: failed to start sandbox "5f": failed to get sandbox image "registry.example/pause:3": failed to do request: ` + url + "EOF", reason: "FailedCreatePodSandBox", want: Network},
		"a volume that can't be mounted": {message: "Error: ImageVolumeMountFailed: failed to mount image volume: no such file or directory", image: foreign, reason: "Failed", want: NotPullFailure},
		"a user that must not be root":   {message: "Error: container has runAsNonRoot and image will run as root", image: foreign, reason: "Failed", want: NotPullFailure},
		"a call to another service":      {message: "PERMISSION_DENIED: The caller does not have permission", want: NotPullFailure},

		// Left out, or guessed at.
		"an ellipsis before the end":       {message: "Failed to pull image \"" + foreign + "\": failed to resolve image: … not found", image: foreign, want: ImageNotFound},
		"somebody's permission":            {message: "Failed to pull image \"" + foreign + "\": ... permission denied", image: foreign, want: PermissionDenied},
		"an old kubelet's guess":           {message: "image pull failed for " + foreign + ", this may be because there are no credentials on this request. details: (failed to register layer: rename a)", image: foreign, want: CorruptContent},
		"an old kubelet's guess and a 500": {message: "image pull failed for " + foreign + ", this may be because there are no credentials on this request. details: (Error pulling image (1) from " + foreign + ", HTTP code 500)", image: foreign, want: RegistryUnavailable},
		"a download given up":              {message: "error pulling image configuration: download failed after attempts=6 without a word", image: foreign, want: Network},
		"a download given up for a reason": {message: "error pulling image configuration: download failed after attempts=1: x509: certificate signed by unknown authority", image: foreign, want: TLS},
		"a mirror that has no such image":  {message: "level=info msg=\"trying next host - response was http.StatusNotFound\" host=mirror.example", image: foreign, want: ImageNotFound},
		"content that is gone":             {message: "failed to copy: httpReadSeeker: failed open: content at https://registry.example/v2/team/app/manifests/sha256:ab not found", image: foreign, want: ImageNotFound},

		// What nobody has said before.
		"certificates, somehow":   {message: unpack("the peer showed a certificate that we did not like"), want: TLS},
		"permission, somehow":     {message: unpack("forbidden to the likes of you"), want: Ambiguous, among: []Cause{PermissionDenied, Unauthenticated}},
		"a disk, somehow":         {message: unpack("the disk said no"), want: DiskPressure},
		"nothing that is a cause": {message: unpack("the moon is in the wrong house"), want: BackOff},
		"a 403 and no more":       {message: "403 Forbidden", image: google1, want: Ambiguous, among: []Cause{PermissionDenied, Unauthenticated}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			v := Classify(Text{Message: tc.message, Image: tc.image, Reason: tc.reason})
			if v.Cause != tc.want || !slices.Equal(v.Candidates, tc.among) {
				t.Errorf("%s on %q, candidates %v, want %s %v", v.Cause, v.Evidence, v.Candidates, tc.want, tc.among)
			}
			if v.Repairable() {
				t.Errorf("repairable: %+v", v)
			}
		})
	}
}
