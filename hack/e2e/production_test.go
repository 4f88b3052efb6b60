// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"
	"github.com/google/go-cmp/cmp"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
	"github.com/pull-access/pull-access-operator/hack/gcpproxy"
)

const (
	operatorAccount = "pull-access-operator@" + nodeProject + ".iam.gserviceaccount.com"
	operatorRole    = "projects/" + nodeProject + "/roles/pullAccessOperator"
	// loggerRole is a custom role of the nodes. The operator must read the role to learn that it
	// grants no read access to images.
	loggerRole = "projects/" + nodeProject + "/roles/logger"
)

// operatorPermissions are the permissions that config/gcp grants the operator with all
// options.
var operatorPermissions = []string{
	"artifactregistry.repositories.get", "artifactregistry.repositories.getIamPolicy", "artifactregistry.repositories.setIamPolicy",
	"artifactregistry.packages.list", "artifactregistry.tags.get", "artifactregistry.versions.get", "artifactregistry.versions.list",
	"compute.instances.get", "container.clusters.get", "resourcemanager.projects.get",
	"iam.roles.get", "resourcemanager.projects.getIamPolicy",
}

// apiPaths maps the hosts of Google's APIs that the operator calls to their paths.
var apiPaths = map[string]*regexp.Regexp{
	"artifactregistry.googleapis.com":     regexp.MustCompile(`^/v1/projects/[^/]+/locations/[^/]+/repositories/`),
	"cloudresourcemanager.googleapis.com": regexp.MustCompile(`^/v3/projects/`),
	"compute.googleapis.com":              regexp.MustCompile(`^/compute/v1/projects/[^/]+/zones/`),
	"container.googleapis.com":            regexp.MustCompile(`^/v1/projects/[^/]+/locations/[^/]+/clusters/`),
	"iam.googleapis.com":                  regexp.MustCompile(`^/v1/projects/[^/]+/roles/`),
	"policytroubleshooter.googleapis.com": regexp.MustCompile(`^/v3/iam:troubleshoot$`),
}

// TestProductionPath runs the operator as in production: without --gcp-endpoint, with credentials from the metadata server,
// over TLS to Google's own host names. The node also pulls the image by its real name.
func TestProductionPath(t *testing.T) {
	l := newLab(t)
	l.addPools()
	l.installOperatorAccount()
	operatorProxy, operatorEnv := l.proxied(t)
	nodeProxy, nodeEnv := l.proxied(t)
	l.start(t, node{name: "slow", backoff: slow, env: nodeEnv})
	l.start(t, node{name: "hidden", backoff: slow, hidden: true, env: nodeEnv}) // The operator reads its account from GKE.
	startOperator(t, launch{
		args: []string{"--gke-cluster=" + gkeCluster, "--policy-troubleshooter"},
		env:  slices.Concat(operatorEnv, l.metadataCredentials(t)),
	})

	for namespace, node := range map[string]string{"production": "slow", "production-gke": "hidden"} {
		t.Run(namespace, func(t *testing.T) {
			s := l.site(t, namespace, nodeProject)
			create(t, s.policy(), s.deployment(node, 2))
			grant := s.grant(t, "is Ready", healed)
			s.running(t, 2)
			s.healedOnce(t, grant)
			l.wantReason(t, operatorProxy, s, grant)
		})
	}
	l.wantOperatorCalls(t, operatorProxy)
	for _, r := range nodeProxy.Requests() {
		if r.Host != location+"-docker.pkg.dev" || !strings.HasPrefix(r.Path, "/v2/") {
			t.Errorf("a node asked %s for %s, want the registry alone", r.Host, r.Path)
		}
	}
	if len(nodeProxy.Requests()) == 0 || len(nodeProxy.Refused()) != 0 {
		t.Errorf("the nodes made %d requests through the proxy, and were refused %v", len(nodeProxy.Requests()), nodeProxy.Refused())
	}
}

// installOperatorAccount grants the operator the permissions of config/gcp, and denies everything to callers without credentials.
// It binds the role on the project, so that the repositories' IAM policies only have readers.
func (l *lab) installOperatorAccount() {
	l.cloud.AddServiceAccount(operatorAccount)
	l.cloud.AddRole(operatorRole, operatorPermissions...)
	l.cloud.AddRole(loggerRole, "logging.logEntries.create")
	l.cloud.SetProjectPolicy(nodeProject, &iampb.Policy{Bindings: []*iampb.Binding{
		{Role: operatorRole, Members: []string{"serviceAccount:" + operatorAccount}},
		{Role: loggerRole, Members: []string{"serviceAccount:" + nodeAccount}},
	}})
	l.cloud.RestrictCaller("")
}

// proxied starts a proxy that imitates Google, and returns the environment of a program that uses it.
func (l *lab) proxied(t *testing.T) (*gcpproxy.Proxy, []string) {
	t.Helper()
	proxy, err := gcpproxy.Start(l.cloud.Handler())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := proxy.Close(); err != nil {
			t.Error(err)
		}
	})
	env, err := proxy.Environment(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return proxy, env
}

// metadataCredentials returns the environment in which a program finds only the credentials of the metadata server.
func (l *lab) metadataCredentials(t *testing.T) []string {
	t.Helper()
	metadata, err := l.cloud.StartMetadata(gcpemulator.Instance{
		Project: nodeProject, Zone: zone, Name: "operator", ServiceAccount: operatorAccount,
	})
	if err != nil {
		t.Fatal(err)
	}
	return []string{
		"GCE_METADATA_HOST=" + strings.TrimPrefix(metadata, "http://"), "HOME=" + t.TempDir(),
		"GOOGLE_APPLICATION_CREDENTIALS=", "GOOGLE_CLOUD_QUOTA_PROJECT=", "CLOUDSDK_CONFIG=",
	}
}

// wantReason checks that each write to the site's repository names the grant as its reason.
func (l *lab) wantReason(t *testing.T, proxy *gcpproxy.Proxy, s *site, grant *v1alpha1.PullAccessGrant) {
	t.Helper()
	var reasons []string
	for _, r := range proxy.Requests() {
		if r.Path == "/v1/"+s.resource()+":setIamPolicy" {
			reasons = append(reasons, r.Reason)
		}
	}
	if diff := cmp.Diff([]string{"pull-access-operator: PullAccessGrant " + grant.Name}, reasons); diff != "" {
		t.Errorf("reasons of the writes to %s (-want +got):\n%s", s.repository, diff)
	}
}

// wantOperatorCalls checks that every call has a token, goes to the API's own host, and comes through the proxy. Only the
// metadata server issues tokens of the operator's account.
func (l *lab) wantOperatorCalls(t *testing.T, proxy *gcpproxy.Proxy) {
	t.Helper()
	requests, calls := proxy.Requests(), 0
	for _, r := range l.cloud.Requests() {
		switch r.Method {
		case "ping", "token", "manifest", "blob", "tags", "metadata": // Calls of nodes, and to metadata servers.
			continue
		}
		calls++
		if r.Caller != operatorAccount {
			t.Errorf("%s %s came from %q, want %s", r.Method, r.Resource, r.Caller, operatorAccount)
		}
	}
	if calls == 0 || calls != len(requests) {
		t.Errorf("%d calls arrived, %d came through the proxy", calls, len(requests))
	}
	asked := map[string]bool{}
	for _, r := range requests {
		asked[r.Host] = true
		if paths := apiPaths[r.Host]; paths == nil || !paths.MatchString(r.Path) {
			t.Errorf("%s was asked for %s", r.Host, r.Path)
		}
		if !r.Bearer {
			t.Errorf("%s %s%s carried no bearer token", r.Method, r.Host, r.Path)
		}
		if isWrite := strings.HasSuffix(r.Path, ":setIamPolicy"); isWrite != (r.Reason != "") {
			t.Errorf("%s %s%s has the reason %q", r.Method, r.Host, r.Path, r.Reason)
		}
	}
	for host := range apiPaths {
		if !asked[host] {
			t.Errorf("%s was never asked", host)
		}
	}
	if refused := proxy.Refused(); len(refused) != 0 {
		t.Errorf("the operator asked for %v", refused)
	}
}
