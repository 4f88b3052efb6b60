// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator_test

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"

	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

const (
	images  = "acme-images-306"
	nodes   = "acme-prod-417"
	account = "gke-nodes@acme-prod-417.iam.gserviceaccount.com"
	keyed   = "puller@acme-images-306.iam.gserviceaccount.com"
	image   = "us-central1-docker.pkg.dev/acme-images-306/services/checkout:1.4.2"
	nested  = "us-central1-docker.pkg.dev/acme-images-306/services/shop/cart:2.0"
	legacy  = "eu.gcr.io/acme-images-306/checkout:1.4.2"
	scoped  = "us-west1-docker.pkg.dev/example.com/web/services/checkout:1.4.2"
	foreign = "ghcr.io/acme/checkout:1.4.2"
	public  = "gcr.io/distroless/static:nonroot"
)

// denialOf is what the kubelet shows when a registry's token endpoint refuses an identity.
func denialOf(image, host string) string {
	return `failed to pull and unpack image "` + image + `": failed to resolve image: failed to authorize: failed to fetch oauth token: ` +
		`unexpected status from GET request to https://` + host + `/v2/token?service=` + host + `: 403 Forbidden`
}

// known are the facts of a denied pull of an image, all of them read, that a grant heals.
func known(image string) diagnosis.Facts {
	reference, err := imageref.Parse(image)
	return diagnosis.Facts{
		Cause:     pullfailure.Classify(pullfailure.Text{Message: denialOf(image, reference.Registry), Image: image, Reason: "ErrImagePull"}),
		Namespace: "shop", Pod: "checkout-6dcc996c79-t4r72",
		Image: image, Reference: reference, ReferenceErr: err,
		Puller: diagnosis.Puller{
			State: diagnosis.Present, Email: account, Scopes: []string{"https://www.googleapis.com/auth/cloud-platform"},
			Node: "gke-prod-1", Pool: "default-pool", Instance: nodes + "/us-central1-a/gke-prod-1",
			Cluster:   diagnosis.Cluster{Project: nodes, Location: "us-central1", Name: "prod"},
			Federated: diagnosis.Missing, Account: "checkout",
		},
		Repository: diagnosis.Repository{
			State: diagnosis.Present, Format: "DOCKER", Mode: "STANDARD_REPOSITORY",
			RegistryURI: strings.TrimSuffix(reference.Registry+"/"+reference.Path, "/"+reference.Package),
		},
		Access: diagnosis.Access{State: diagnosis.Missing},
	}
}

// variant is a way to a reason, where it leads to a command of its own.
type variant struct {
	image string
	edit  func(*diagnosis.Facts)
	want  diagnosis.Reason
	// prints is what shows that the command did what it is for.
	prints string
}

func (v variant) facts() diagnosis.Facts {
	f := known(v.image)
	if v.edit != nil {
		v.edit(&f)
	}
	return f
}

const (
	describe = "Name:"
	reads    = "registryUri"
	secret   = "secret/pull-secret"
)

// says is a denial of which the text tells no more than v.
func says(v pullfailure.Verdict) func(*diagnosis.Facts) {
	v.Cause = pullfailure.PermissionDenied
	return func(f *diagnosis.Facts) { f.Cause = v }
}

func missing(r diagnosis.Content) func(*diagnosis.Facts) {
	r.State = diagnosis.Missing
	return func(f *diagnosis.Facts) { f.Content = r }
}

func obstructed(kind diagnosis.ObstacleKind) func(*diagnosis.Facts) {
	return func(f *diagnosis.Facts) {
		f.Repository = diagnosis.Repository{Obstacle: diagnosis.Obstacle{Kind: kind, Detail: "it is refused"}}
	}
}

func unread(o diagnosis.Obstacle) func(*diagnosis.Facts) {
	return func(f *diagnosis.Facts) { f.Repository = diagnosis.Repository{Obstacle: o} }
}

// variants are all ways to a command besides those of the plain causes.
var variants = map[string]variant{
	"no access":                        {image: image, want: diagnosis.AccessMissing, prints: account},
	"no access behind gcr.io":          {image: legacy, want: diagnosis.AccessMissing, prints: account},
	"no access in a project of domain": {image: scoped, want: diagnosis.AccessMissing, prints: account},
	"spreading": {image: image, want: diagnosis.WaitingForPropagation, prints: describe, edit: func(f *diagnosis.Facts) {
		f.Access.State, f.OwnGrant = diagnosis.Present, "services.gke-nodes.88878a8abc7c5066"
	}},
	"taken away": {image: image, want: diagnosis.RemovedExternally, prints: keyed, edit: func(f *diagnosis.Facts) {
		f.OwnGrant = "services.gke-nodes.88878a8abc7c5066"
	}},
	"let in": {image: image, want: diagnosis.AlreadyGranted, prints: "overallAccessState", edit: func(f *diagnosis.Facts) {
		f.Access = diagnosis.Access{State: diagnosis.Present, Role: "roles/viewer"}
	}},
	"let in, in a project of domain": {image: scoped, want: diagnosis.AlreadyGranted, prints: "overallAccessState", edit: func(f *diagnosis.Facts) {
		f.Access = diagnosis.Access{State: diagnosis.Present, Role: "roles/viewer"}
	}},
	"deny policy":    {image: image, want: diagnosis.DeniedByPolicy, prints: "overallAccessState", edit: func(f *diagnosis.Facts) { f.Overall.Denied = true }},
	"unclear":        {image: image, want: diagnosis.DenialUnclear, prints: describe, edit: says(pullfailure.Verdict{})},
	"mirror":         {image: image, want: diagnosis.MirrorRefused, prints: describe, edit: says(pullfailure.Verdict{Mirror: true})},
	"push":           {image: image, want: diagnosis.PushDenied, prints: describe, edit: says(pullfailure.Verdict{Permission: "artifactregistry.repositories.uploadArtifacts"})},
	"other registry": {image: foreign, want: diagnosis.NotArtifactRegistry, prints: secret},
	"public":         {image: public, want: diagnosis.PublicImage, prints: describe},
	"sandbox":        {image: image, want: diagnosis.SandboxImage, prints: describe, edit: func(f *diagnosis.Facts) { f.Sandbox = true }},
	"account unknown": {image: image, want: diagnosis.PullerUnknown, prints: account, edit: func(f *diagnosis.Facts) {
		f.Puller.State, f.Puller.Obstacle.Kind = diagnosis.Unknown, diagnosis.Forbidden
	}},
	"account of the pod unread": {image: image, want: diagnosis.PullerUnknown, prints: "checkout", edit: func(f *diagnosis.Facts) {
		f.Puller.Federated = diagnosis.Unknown
	}},
	"account and instance unknown": {image: image, want: diagnosis.PullerUnknown, prints: describe, edit: func(f *diagnosis.Facts) {
		f.Puller.State, f.Puller.Instance = diagnosis.Unknown, ""
	}},
	"no node": {image: image, want: diagnosis.PullerUnknown, prints: describe, edit: func(f *diagnosis.Facts) {
		f.Puller = diagnosis.Puller{Obstacle: diagnosis.Obstacle{Kind: diagnosis.Unreadable}}
	}},
	"pull secret": {image: image, want: diagnosis.PullSecretUsed, prints: describe, edit: func(f *diagnosis.Facts) {
		f.Puller.Secrets = []diagnosis.PullSecret{{Name: "registry", State: diagnosis.Present}}
	}},
	"federated": {
		image: image, want: diagnosis.FederatedPuller, edit: func(f *diagnosis.Facts) { f.Puller.Federated = diagnosis.Present },
		prints: "principal://iam.googleapis.com/projects/417/locations/global/workloadIdentityPools/acme-prod-417.svc.id.goog/subject/ns/shop/sa/checkout",
	},
	"federated, cluster unknown": {image: image, want: diagnosis.FederatedPuller, prints: describe, edit: func(f *diagnosis.Facts) {
		f.Puller.Federated, f.Puller.Cluster = diagnosis.Present, diagnosis.Cluster{}
	}},
	"no account": {image: image, want: diagnosis.NoServiceAccount, prints: account, edit: func(f *diagnosis.Facts) { f.Puller.State = diagnosis.Missing }},
	"no scopes":  {image: image, want: diagnosis.ScopesMissing, prints: "default-pool-scoped", edit: func(f *diagnosis.Facts) { f.Puller.Scopes = nil }},
	"no scopes, cluster unknown": {image: image, want: diagnosis.ScopesMissing, prints: account, edit: func(f *diagnosis.Facts) {
		f.Puller.Scopes, f.Puller.Cluster = nil, diagnosis.Cluster{}
	}},
	"no repository": {image: image, want: diagnosis.RepositoryNotFound, prints: "services", edit: func(f *diagnosis.Facts) {
		f.Repository = diagnosis.Repository{State: diagnosis.Missing}
	}},
	"no repository behind gcr.io": {image: "gcr.io/acme-images-306/checkout:1.4.2", want: diagnosis.RepositoryNotFound, prints: "gcr.io", edit: func(f *diagnosis.Facts) {
		f.Repository = diagnosis.Repository{State: diagnosis.Missing}
	}},
	"not Docker":            {image: image, want: diagnosis.RepositoryNotDocker, prints: "services", edit: func(f *diagnosis.Facts) { f.Repository.Format = "MAVEN" }},
	"mode unknown":          {image: image, want: diagnosis.RepositoryModeUnknown, prints: reads, edit: func(f *diagnosis.Facts) { f.Repository.Mode = "NEW" }},
	"served elsewhere":      {image: image, want: diagnosis.RegistryMismatch, prints: reads, edit: func(f *diagnosis.Facts) { f.Repository.RegistryURI = "us-docker.pkg.dev/a/b" }},
	"repository unreadable": {image: image, want: diagnosis.RepositoryUnreadable, prints: reads, edit: obstructed(diagnosis.Forbidden)},
	"access unreadable":     {image: image, want: diagnosis.AccessUnreadable, prints: keyed, edit: func(f *diagnosis.Facts) { f.Access.State = diagnosis.Unknown }},
	"API off":               {image: image, want: "APIDisabled", prints: "", edit: obstructed(diagnosis.APIOff)},
	"billing off":           {image: image, want: "APIDisabled", prints: "billingEnabled", edit: obstructed(diagnosis.BillingOff)},
	"perimeter":             {image: image, want: "VPCServiceControls", prints: "", edit: obstructed(diagnosis.Perimeter)},
	"no such tag":           {image: image, want: "ImageNotFound", prints: "1.4.1", edit: missing(diagnosis.Content{})},
	"no such tag, nested":   {image: nested, want: "ImageNotFound", prints: "2.1", edit: missing(diagnosis.Content{})},
	"no such tag, gcr.io":   {image: legacy, want: "ImageNotFound", prints: "1.4.1", edit: missing(diagnosis.Content{})},
	"no such tag, domain":   {image: scoped, want: "ImageNotFound", prints: "1.4.1", edit: missing(diagnosis.Content{})},
	"no such image":         {image: image, want: "ImageNotFound", prints: "checkout", edit: missing(diagnosis.Content{NoPackage: true})},
	"no such image, gcr.io": {image: legacy, want: "ImageNotFound", prints: "checkout", edit: missing(diagnosis.Content{NoPackage: true})},
	"no such image, domain": {image: scoped, want: "ImageNotFound", prints: "checkout", edit: missing(diagnosis.Content{NoPackage: true})},
	"nothing read":          {image: image, want: "PermissionDenied", prints: "explains checkout-6dcc996c79-t4r72", edit: func(f *diagnosis.Facts) { f.Puller, f.Repository = diagnosis.Puller{}, diagnosis.Repository{} }},
	"bad name":              {image: "not an image", want: "InvalidReference", prints: describe},
	"image name forgotten":  {image: "us-central1-docker.pkg.dev/acme-images-306/services:1.4.2", want: "InvalidReference", prints: "checkout"},
	"repository forgotten":  {image: "us-central1-docker.pkg.dev/acme-images-306:1.4.2", want: "InvalidReference", prints: "services"},
	"quota project denied": {
		image: image, want: diagnosis.RepositoryUnreadable, prints: "roles/serviceusage.serviceUsageConsumer",
		edit: unread(diagnosis.Obstacle{Kind: diagnosis.QuotaProjectDenied, Consumer: nodes}),
	},
	"consumer invalid": {image: image, want: diagnosis.RepositoryUnreadable, prints: "306", edit: unread(diagnosis.Obstacle{Kind: diagnosis.ConsumerInvalid, Consumer: images})},
	"location invalid": {image: image, want: diagnosis.RepositoryUnreadable, prints: "us-central1", edit: unread(diagnosis.Obstacle{Kind: diagnosis.InvalidLocation})},
	"API off in the caller's project": {
		image: image, want: diagnosis.RepositoryUnreadable,
		edit: unread(diagnosis.Obstacle{Kind: diagnosis.Unreadable, Consumer: nodes, Service: "artifactregistry.googleapis.com"}),
	},
	"API of the nodes off": {image: image, want: diagnosis.PullerUnknown, edit: func(f *diagnosis.Facts) {
		f.Puller = diagnosis.Puller{Obstacle: diagnosis.Obstacle{Kind: diagnosis.APIOff, Consumer: "417", Service: "compute.googleapis.com"}}
	}},
	"perimeter, by its identifier": {image: image, want: "VPCServiceControls", edit: unread(diagnosis.Obstacle{Kind: diagnosis.Perimeter, Identifier: "UA_Y-7"})},
}

// plain are the causes by themselves, of an image in Artifact Registry and of another.
func plain() map[string]variant {
	// What is printed, where it is not a description of a pod or a node.
	google := map[pullfailure.Cause]string{
		pullfailure.PlatformMismatch: "linux/amd64", pullfailure.RepositoryNotFound: "services", pullfailure.ImageNotFound: "1.4.1",
		pullfailure.APIDisabled: "", pullfailure.VPCServiceControls: "",
	}
	other := map[pullfailure.Cause]string{pullfailure.PlatformMismatch: "linux/amd64", pullfailure.Unauthenticated: secret}
	all := map[string]variant{}
	for _, cause := range pullfailure.Causes() {
		if cause == pullfailure.PermissionDenied {
			continue // It always rests on facts.
		}
		for image, prints := range map[string]map[pullfailure.Cause]string{image: google, foreign: other} {
			text, ok := prints[cause]
			if !ok {
				text = describe
			}
			all[string(cause)+" of "+image] = variant{image: image, want: diagnosis.Reason(cause), prints: text, edit: func(f *diagnosis.Facts) {
				f.Cause, f.Repository = pullfailure.Verdict{Cause: cause}, diagnosis.Repository{}
			}}
		}
	}
	return all
}

// shown are the distinct commands of all variants, and what each has to print.
func shown(t *testing.T) map[string][]string {
	t.Helper()
	all := plain()
	maps.Copy(all, variants)
	commands := map[string][]string{}
	reached := map[diagnosis.Reason]bool{}
	for name, v := range all {
		d := diagnosis.Diagnose(v.facts())
		if d.Reason != v.want {
			t.Errorf("%s: Diagnose = %s, want %s", name, d.Reason, v.want)
		}
		reached[d.Reason] = true
		commands[d.Command] = append(commands[d.Command], v.prints)
	}
	for _, reason := range diagnosis.Reasons() {
		if !reached[reason] {
			t.Errorf("nothing leads to %s: its command is not run", reason)
		}
	}
	return commands
}

// site is a Google Cloud in which all that the variants name is there.
func site(t *testing.T) *gcpemulator.Emulator {
	t.Helper()
	e, err := gcpemulator.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	e.AddProject(nodes, 417)
	e.AddProject(images, 306)
	e.AddServiceAccount(account)
	e.AddServiceAccount(keyed)
	for _, r := range []gcpemulator.Repository{
		{Project: images, Location: "us-central1", Name: "services"},
		{Project: images, Location: "europe", Name: "eu.gcr.io"},
		{Project: "example.com:web", Location: "us-west1", Name: "services"},
	} {
		e.AddRepository(r)
		e.SetPolicy("projects/"+r.Project+"/locations/"+r.Location+"/repositories/"+r.Name, &iampb.Policy{
			Bindings: []*iampb.Binding{{Role: "roles/artifactregistry.writer", Members: []string{"serviceAccount:" + keyed}}},
		})
	}
	for _, pushed := range []string{
		"us-central1-docker.pkg.dev/acme-images-306/services/checkout:1.4.1", "us-central1-docker.pkg.dev/acme-images-306/services/shop/cart:2.1",
		"eu.gcr.io/acme-images-306/checkout:1.4.1", "us-west1-docker.pkg.dev/example.com/web/services/checkout:1.4.1",
	} {
		if err := e.PushImage(pushed); err != nil {
			t.Fatal(err)
		}
	}
	e.AddInstance(gcpemulator.Instance{Project: nodes, Zone: "us-central1-a", Name: "gke-prod-1", ServiceAccount: account, Scopes: []string{"cloud-platform"}})
	e.AddCluster(gcpemulator.Cluster{Project: nodes, Location: "us-central1", Name: "prod", NodePools: []gcpemulator.NodePool{{Name: "default-pool", ServiceAccount: account}}})
	return e
}

// paste runs a command as a person would who pastes it into a shell, and returns
// what it printed. Each has a cloud, or a cluster, of its own.
func paste(t *testing.T, command string) string {
	t.Helper()
	program, _, _ := strings.Cut(command, " ")
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("NOT TESTED: %s is not on the PATH, so the command was not run", program)
	}
	var environment []string
	asked := func() int { return 1 }
	switch program {
	case "gcloud":
		e := site(t)
		environment = append(gcpemulator.GcloudEnvironment(e.URL(), t.TempDir()), "MEMBER=serviceAccount:"+account)
		asked = func() int { return len(e.Requests()) }
	case "kubectl":
		environment = kubectlEnvironment(t)
	default:
		t.Fatal("it is neither gcloud's nor kubectl's")
	}
	shell := exec.CommandContext(t.Context(), "sh", "-c", command)
	shell.Env = append(os.Environ(), environment...)
	output, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	if asked() == 0 {
		t.Error("nothing was asked")
	}
	return string(output)
}

// TestDiagnosisCommands runs every command that a diagnosis can show.
func TestDiagnosisCommands(t *testing.T) {
	commands := shown(t)
	for _, command := range slices.Sorted(maps.Keys(commands)) {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			output := paste(t, command)
			for _, want := range commands[command] {
				if !strings.Contains(output, want) {
					t.Errorf("it prints\n%s\nwithout %q", output, want)
				}
			}
		})
	}
}

// TestReasonsPageCommands runs what the page on the reasons has people run besides.
func TestReasonsPageCommands(t *testing.T) {
	page, err := os.ReadFile("../../docs/reasons.md")
	if err != nil {
		t.Fatal(err)
	}
	ran := shown(t)
	seen := 0
	for _, block := range regexp.MustCompile("(?ms)^```(?:ba)?sh\n(.*?)\n```$").FindAllSubmatch(page, -1) {
		seen++
		command := regexp.MustCompile(`\s*\\\n\s*`).ReplaceAllString(string(block[1]), " ")
		if _, done := ran[command]; done {
			continue
		}
		ran[command] = nil
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			// Nobody is there to edit, so only the object's name is tried.
			paste(t, strings.Replace(command, "kubectl edit ", "kubectl get ", 1))
		})
	}
	if seen == 0 {
		t.Error("no command was found: the test looks at nothing")
	}
}

// verbs are the beginnings of commands as the source spells them.
var verbs = regexp.MustCompile("[\"`](gcloud(?: [a-z-]+)+|kubectl(?: [a-z-]+)+)|kubectl\\(f, [\"`]([a-z-]+(?: [a-z-]+)*)")

// TestDiagnosisCommandsAreAll: no command stands in the source that no variant leads to.
func TestDiagnosisCommandsAreAll(t *testing.T) {
	files, err := filepath.Glob("../../internal/diagnosis/command*.go")
	if err != nil {
		t.Fatal(err)
	}
	ran := strings.Join(slices.Collect(maps.Keys(shown(t))), "\n")
	seen := 0
	for _, name := range files {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range verbs.FindAllStringSubmatch(string(source), -1) {
			seen++
			if verb := cmp.Or(found[1], found[2]); !strings.Contains(ran, verb) {
				t.Errorf("%s shows %q, which is not run", filepath.Base(name), verb)
			}
		}
	}
	if seen == 0 {
		t.Error("no command was found: the test looks at nothing")
	}
}

// kubectlEnvironment has kubectl ask a stand-in for a cluster, and find a stand-in for the plugin.
func kubectlEnvironment(t *testing.T) []string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(serveCluster))
	t.Cleanup(server.Close)
	folder := t.TempDir()
	for name, content := range map[string]string{
		"kubeconfig": `{"current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c"}}], "clusters": [{"name": "c", "cluster": {"server": "` + server.URL + `"}}]}`,
		// The same dispatch as of the real one: by its name on the PATH.
		"kubectl-pullaccess": "#!/bin/sh\ncase $1 in explain) echo \"explains $2\";; approve | grants | resume) echo \"$1 $2\";; *) exit 1;; esac\n",
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return []string{
		"HOME=" + folder, "KUBECONFIG=" + filepath.Join(folder, "kubeconfig"),
		"PATH=" + folder + string(os.PathListSeparator) + os.Getenv("PATH"),
		"REGISTRY_USER=somebody", "REGISTRY_TOKEN=something",
	}
}

// kinds are those that the commands name, by their plural.
var kinds = map[string]string{
	"namespaces": "Namespace", "nodes": "Node", "pods": "Pod", "secrets": "Secret", "serviceaccounts": "ServiceAccount", "events": "Event",
	"pullaccessgrants": "PullAccessGrant", "pullaccesspolicies": "PullAccessPolicy",
}

var namespaced = map[string]bool{"pods": true, "secrets": true, "serviceaccounts": true, "events": true}

// serveCluster has an object of every name that it is asked for.
func serveCluster(w http.ResponseWriter, r *http.Request) {
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	last := path[len(path)-1]
	var answer object
	switch {
	case r.Method == http.MethodPost:
		answer = object{"kind": "Secret", "apiVersion": "v1", "metadata": object{"name": "pull-secret"}} // What comes is protobuf.
	case r.URL.Path == "/version":
		answer = object{"major": "1", "minor": "32", "gitVersion": "v1.32.0"}
	case r.URL.Path == "/api":
		answer = object{"kind": "APIVersions", "versions": []string{"v1"}}
	case r.URL.Path == "/apis":
		version := object{"groupVersion": "pullaccess.dev/v1alpha1", "version": "v1alpha1"}
		answer = object{"kind": "APIGroupList", "groups": []object{{"name": "pullaccess.dev", "versions": []object{version}, "preferredVersion": version}}}
	case r.URL.Path == "/api/v1":
		answer = resources("v1", "namespaces", "nodes", "pods", "secrets", "serviceaccounts", "events")
	case r.URL.Path == "/apis/pullaccess.dev/v1alpha1":
		answer = resources("pullaccess.dev/v1alpha1", "pullaccessgrants", "pullaccesspolicies")
	case kinds[last] != "":
		answer = object{"kind": kinds[last] + "List", "apiVersion": "v1", "items": []object{}}
	case len(path) > 2 && kinds[path[len(path)-2]] != "":
		answer = object{
			"kind": kinds[path[len(path)-2]], "apiVersion": versionOf(path), "metadata": object{"name": last},
			"status": object{"nodeInfo": object{"operatingSystem": "linux", "architecture": "amd64"}},
		}
	default:
		w.WriteHeader(http.StatusNotFound)
		answer = object{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": http.StatusNotFound}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer) // kubectl says what it misses.
}

type object = map[string]any

// versionOf is the group and version of a path to an object.
func versionOf(path []string) string {
	if path[0] == "apis" {
		return path[1] + "/" + path[2]
	}
	return path[1]
}

func resources(groupVersion string, plurals ...string) object {
	var list []object
	for _, plural := range plurals {
		list = append(list, object{
			"name": plural, "singularName": strings.ToLower(kinds[plural]), "kind": kinds[plural],
			"namespaced": namespaced[plural], "verbs": []string{"get", "list", "create", "patch"},
		})
	}
	return object{"kind": "APIResourceList", "groupVersion": groupVersion, "resources": list}
}
