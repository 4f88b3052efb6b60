// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// newSite is an emulator where the admin may do all in project acme, with two
// pushes to one image, a machine and a cluster.
func newSite(t *testing.T) (*Emulator, gcloud) {
	t.Helper()
	e, _ := newEmulator(t)
	g := newGcloud(t, e)
	e.SetProjectPolicy("acme", policyOf("roles/owner", "serviceAccount:"+admin))
	e.SetParent("projects/acme", "organizations/9")
	if err := e.PushImage("us-central1-docker.pkg.dev/acme/services/app:1.1"); err != nil {
		t.Fatal(err)
	}
	e.AddInstance(Instance{Project: "acme", Zone: "us-central1-a", Name: "vm", ServiceAccount: node, Scopes: []string{"devstorage.read_only"}})
	e.AddCluster(Cluster{Project: "acme", Location: "us-central1", Name: "prod", NodePools: []NodePool{{Name: "default-pool", ServiceAccount: "default"}}})
	e.AddRole("projects/acme/roles/puller", permissionDownload)
	return e, g
}

func TestGcloudReads(t *testing.T) {
	_, g := newSite(t)

	t.Run("projects describe", func(t *testing.T) {
		var got struct{ ProjectID, ProjectNumber, LifecycleState string }
		g.read(t, &got, "projects", "describe", "acme")
		if got.ProjectID != "acme" || got.ProjectNumber != "417" || got.LifecycleState != "ACTIVE" {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("projects describe without a credential", func(t *testing.T) {
		e, _ := newEmulator(t)
		var got struct{ ProjectID string }
		bare := gcloud{g.program, append(os.Environ(), GcloudEnvironment(e.URL(), t.TempDir())...)}
		bare.read(t, &got, "projects", "describe", "acme")
		if asked := e.Requests(); got.ProjectID != "acme" || len(asked) != 1 || asked[0].Caller != "" {
			t.Errorf("got %+v by %+v", got, asked)
		}
	})
	t.Run("projects get-iam-policy", func(t *testing.T) {
		var got struct {
			Bindings []struct {
				Role    string
				Members []string
			}
		}
		g.read(t, &got, "projects", "get-iam-policy", "acme")
		if len(got.Bindings) != 1 || got.Bindings[0].Role != "roles/owner" || !slices.Equal(got.Bindings[0].Members, []string{"serviceAccount:" + admin}) {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("iam service-accounts describe", func(t *testing.T) {
		var got struct{ Email, ProjectID, Name string }
		g.read(t, &got, "iam", "service-accounts", "describe", node)
		if got.Email != node || got.ProjectID != "acme" || got.Name != "projects/acme/serviceAccounts/"+node {
			t.Errorf("got %+v", got)
		}
		if _, problems, err := g.run(t, "iam", "service-accounts", "describe", "none@acme.iam.gserviceaccount.com"); err == nil || !strings.Contains(problems, "NOT_FOUND") {
			t.Errorf("a missing account: got %v, %s", err, problems)
		}
	})
	t.Run("iam roles describe", func(t *testing.T) {
		var got struct{ IncludedPermissions []string }
		g.read(t, &got, "iam", "roles", "describe", "puller", "--project=acme")
		if !slices.Equal(got.IncludedPermissions, []string{permissionDownload}) {
			t.Errorf("a custom role: got %v", got)
		}
		g.read(t, &got, "iam", "roles", "describe", reader)
		if !slices.Contains(got.IncludedPermissions, permissionDownload) {
			t.Errorf("%s: got %v", reader, got)
		}
	})
	t.Run("billing projects describe", func(t *testing.T) {
		var got struct {
			BillingEnabled bool
			ProjectID      string
		}
		g.read(t, &got, "billing", "projects", "describe", "acme")
		if !got.BillingEnabled || got.ProjectID != "acme" {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("compute instances describe", func(t *testing.T) {
		var got struct {
			ServiceAccounts []struct {
				Email  string
				Scopes []string
			}
		}
		g.read(t, &got, "compute", "instances", "describe", "vm", "--zone=us-central1-a", "--project=acme")
		if len(got.ServiceAccounts) != 1 || got.ServiceAccounts[0].Email != node || !slices.Equal(got.ServiceAccounts[0].Scopes, []string{scopePrefix + "devstorage.read_only"}) {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("logging read", func(t *testing.T) {
		var got []any
		g.read(t, &got, "logging", "read", `protoPayload.metadata.vpcServiceControlsUniqueId="abc"`, "--project=acme", "--limit=10", "--freshness=1h")
		if len(got) != 0 {
			t.Errorf("got %v, want no entry", got)
		}
	})
	t.Run("container clusters describe", func(t *testing.T) {
		var got struct {
			NodePools []struct {
				Name   string
				Config struct{ ServiceAccount string }
			}
		}
		g.read(t, &got, "container", "clusters", "describe", "prod", "--location=us-central1", "--project=acme")
		if len(got.NodePools) != 1 || got.NodePools[0].Name != "default-pool" || got.NodePools[0].Config.ServiceAccount != "default" {
			t.Errorf("got %+v", got)
		}
	})
}

func TestGcloudImages(t *testing.T) {
	e, g := newSite(t)
	const repository = "us-central1-docker.pkg.dev/acme/services"
	if err := e.PushImage(repository + "/team/web:2.0"); err != nil {
		t.Fatal(err)
	}
	t.Run("tags list", func(t *testing.T) {
		for image, want := range map[string][]string{"app": {"1.0", "1.1"}, "team/web": {"2.0"}} {
			var got []struct{ Tag, Image, Version string }
			g.read(t, &got, "artifacts", "docker", "tags", "list", repository+"/"+image)
			var tags []string
			for _, tag := range got {
				tags = append(tags, tag.Tag[strings.LastIndex(tag.Tag, "/")+1:])
			}
			if diff := cmp.Diff(want, tags); diff != "" {
				t.Errorf("%s (-want +got):\n%s", image, diff)
			}
		}
	})
	t.Run("images list of a repository", func(t *testing.T) {
		var got []struct {
			Package, Version string
			Tags             []string
		}
		g.read(t, &got, "artifacts", "docker", "images", "list", repository, "--include-tags")
		if len(got) != 3 || got[0].Package != repository+"/app" || !strings.HasPrefix(got[0].Version, "sha256:") || !slices.Equal(got[0].Tags, []string{"1.0"}) {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("images list of an image", func(t *testing.T) {
		var got []struct {
			Package string
			Tags    []string
		}
		g.read(t, &got, "artifacts", "docker", "images", "list", repository+"/app", "--include-tags", "--sort-by=~UPDATE_TIME")
		if len(got) != 2 || !slices.Equal(got[0].Tags, []string{"1.1"}) || !slices.Equal(got[1].Tags, []string{"1.0"}) {
			t.Errorf("got %+v, want the newest first", got)
		}
	})
}

func TestGcloudWrites(t *testing.T) {
	e, g := newSite(t)
	t.Run("artifacts repositories create", func(t *testing.T) {
		for _, arguments := range [][]string{{"fresh"}, {"later", "--async"}} {
			g.must(t, append([]string{"artifacts", "repositories", "create", "--repository-format=docker", "--location=us-central1", "--project=acme"}, arguments...)...)
			r, ok := e.state.repository("projects/acme/locations/us-central1/repositories/" + arguments[0])
			if !ok || r.Format != "DOCKER" || r.Mode != "STANDARD_REPOSITORY" {
				t.Errorf("%v: got %+v, %t", arguments, r, ok)
			}
		}
		if _, problems, err := g.run(t, "artifacts", "repositories", "create", "services", "--repository-format=docker", "--location=us-central1"); err == nil || !strings.Contains(problems, "ALREADY_EXISTS") {
			t.Errorf("one that is there: got %v, %s", err, problems)
		}
	})
	t.Run("services enable", func(t *testing.T) {
		e.Block("acme", APIDisabled)
		describe := []string{"artifacts", "repositories", "describe", "services", "--location=us-central1"}
		if _, problems, err := g.run(t, describe...); err == nil || !strings.Contains(problems, "SERVICE_DISABLED") {
			t.Errorf("before: got %v, %s", err, problems)
		}
		g.must(t, "services", "enable", serviceArtifacts, "--project=acme")
		g.must(t, describe...)
	})
	t.Run("container node-pools create", func(t *testing.T) {
		for _, pool := range []string{"wide", "waited"} {
			arguments := []string{"container", "node-pools", "create", pool, "--cluster=prod", "--location=us-central1", "--project=acme", "--service-account=" + node, "--scopes=cloud-platform"}
			if pool == "wide" {
				arguments = append(arguments, "--async")
			}
			g.must(t, arguments...)
			c, _ := e.state.cluster("projects/acme/locations/us-central1/clusters/prod")
			made := c.NodePools[len(c.NodePools)-1]
			if diff := cmp.Diff(NodePool{Name: pool, ServiceAccount: node, Scopes: []string{scopeCloudPlatform}}, made); diff != "" {
				t.Errorf("%s (-want +got):\n%s", pool, diff)
			}
		}
	})
}

func TestGcloudTroubleshoot(t *testing.T) {
	e, g := newSite(t)
	ask := func() (got struct {
		OverallAccessState    string
		DenyPolicyExplanation struct{ DenyAccessState string }
	},
	) {
		g.read(t, &got, "policy-intelligence", "troubleshoot-policy", "iam",
			"//artifactregistry.googleapis.com/"+services, "--principal-email="+node, "--permission="+permissionDownload)
		return got
	}
	e.SetPolicy("organizations/9", policyOf("roles/owner", "serviceAccount:"+admin))
	if got := ask(); got.OverallAccessState != "UNKNOWN_INFO" {
		t.Errorf("an organization that the caller may not see: got %+v", got)
	}
	e.AddRole("organizations/9/roles/seer", "resourcemanager.organizations.getIamPolicy", permissionDenials)
	e.SetPolicy("organizations/9", policyOf("organizations/9/roles/seer", "serviceAccount:"+admin))
	if got := ask(); got.OverallAccessState != "CANNOT_ACCESS" {
		t.Errorf("without a grant: got %+v", got)
	}
	e.SetPolicy(services, policyOf(reader, "serviceAccount:"+node))
	if got := ask(); got.OverallAccessState != "CAN_ACCESS" {
		t.Errorf("with a grant: got %+v", got)
	}
	e.SetDenyPolicy("acme", denyNode)
	if got := ask(); got.OverallAccessState != "CANNOT_ACCESS" || got.DenyPolicyExplanation.DenyAccessState != denyDenied {
		t.Errorf("under a deny policy: got %+v", got)
	}
}
