// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"cloud.google.com/go/compute/metadata"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/api/compute/v1"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"
)

func TestInstancesGet(t *testing.T) {
	e, _ := newEmulator(t)
	e.AddInstance(Instance{Project: "acme", Zone: "us-central1-a", Name: "vm", ServiceAccount: node, Scopes: []string{"devstorage.read_only"}, Labels: map[string]string{"pool": "a"}})
	e.AddInstance(Instance{Project: "acme", Zone: "us-central1-a", Name: "bare"})
	service, err := compute.NewService(t.Context(), option.WithEndpoint(e.URL()+"/compute/v1/"), option.WithoutAuthentication())
	if err != nil {
		t.Fatal(err)
	}

	got, err := service.Instances.Get("acme", "us-central1-a", "vm").Do()
	if err != nil {
		t.Fatal(err)
	}
	want := []*compute.ServiceAccount{{Email: node, Scopes: []string{scopePrefix + "devstorage.read_only"}}}
	if diff := cmp.Diff(want, got.ServiceAccounts); diff != "" || got.Id == 0 || got.Name != "vm" || got.Labels["pool"] != "a" {
		t.Errorf("instance %s (%d): accounts (-want +got):\n%s", got.Name, got.Id, diff)
	}
	if got, err = service.Instances.Get("acme", "us-central1-a", "bare").Do(); err != nil || len(got.ServiceAccounts) != 0 {
		t.Errorf("without an account: got %v, %v", got.ServiceAccounts, err)
	}

	refused := func(want int, reason, message string) {
		t.Helper()
		_, err := service.Instances.Get("acme", "us-central1-a", "none").Do()
		var api *googleapi.Error
		if !errors.As(err, &api) || api.Code != want || !strings.Contains(api.Message, message) ||
			len(api.Errors) != 1 || api.Errors[0].Reason != reason {
			t.Errorf("got %v, want %d %s: %s", err, want, reason, message)
		}
	}
	refused(http.StatusNotFound, "notFound", "The resource 'projects/acme/zones/us-central1-a/instances/none' was not found")
	e.RestrictCaller("", permissionGet)
	refused(http.StatusForbidden, "forbidden", "Required 'compute.instances.get' permission")
}

func TestMetadataServer(t *testing.T) {
	e, _ := newEmulator(t)
	base, err := e.StartMetadata(Instance{
		Project: "acme", Zone: "us-central1-a", Name: "vm", ServiceAccount: node, Attributes: map[string]string{"cluster-name": "prod"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(base, "http://"))
	client := metadata.NewClient(http.DefaultClient)
	for name, tc := range map[string]struct {
		read func(context.Context) (string, error)
		want string
	}{
		"project": {client.ProjectIDWithContext, "acme"},
		"number":  {client.NumericProjectIDWithContext, "417"},
		"name":    {client.InstanceNameWithContext, "vm"},
		"zone":    {client.ZoneWithContext, "us-central1-a"},
		"email":   {func(ctx context.Context) (string, error) { return client.EmailWithContext(ctx, "") }, node},
		"scopes": {func(ctx context.Context) (string, error) {
			scopes, err := client.ScopesWithContext(ctx, "")
			return strings.Join(scopes, " "), err
		}, scopeCloudPlatform},
		"attribute": {func(ctx context.Context) (string, error) {
			return client.InstanceAttributeValueWithContext(ctx, "cluster-name")
		}, "prod"},
		"accounts": {func(ctx context.Context) (string, error) {
			return client.GetWithContext(ctx, "instance/service-accounts/")
		}, "default/\n" + node + "/\n"},
		"all of one account": {func(ctx context.Context) (string, error) {
			return client.GetWithContext(ctx, "instance/service-accounts/default/?recursive=true")
		}, `{"aliases":["default"],"email":"` + node + `","scopes":["` + scopeCloudPlatform + `"]}`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tc.read(t.Context())
			if err != nil || got != tc.want {
				t.Errorf("got %q, %v; want %q", got, err, tc.want)
			}
		})
	}
	if got := get(t, base+"/computeMetadata/v1/project/project-id", "", ""); got.status != http.StatusForbidden {
		t.Errorf("without Metadata-Flavor: got %d, want 403", got.status)
	}
	if os.Getenv("GCE_METADATA_HOST") == "" || !client.OnGCEWithContext(t.Context()) {
		t.Error("the library does not take it for a metadata server")
	}
}

// metadataToken asks the metadata server of a VM as a credential provider does.
func metadataToken(t *testing.T, e *Emulator, i Instance) string {
	t.Helper()
	base, err := e.StartMetadata(i)
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.JoinPath(base, metadataAccounts, "default", "token")
	if err != nil {
		t.Fatal(err)
	}
	return accessTokenAt(t, target)
}
