// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	artifactregistry "cloud.google.com/go/artifactregistry/apiv1"
	"cloud.google.com/go/artifactregistry/apiv1/artifactregistrypb"
	"cloud.google.com/go/iam/apiv1/iampb"
	"github.com/google/go-cmp/cmp"
	"github.com/googleapis/gax-go/v2/callctx"
	"golang.org/x/oauth2"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"
	"google.golang.org/genproto/googleapis/type/expr"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

func TestGetRepository(t *testing.T) {
	e, _ := newEmulator(t)
	e.AddRepository(Repository{Project: "example.com:web", Location: "europe", Name: "eu.gcr.io"})
	e.AddRepository(Repository{Project: "acme", Location: "us", Name: "java", Format: "MAVEN", Mode: "VIRTUAL_REPOSITORY"})
	e.AddRepository(Repository{Project: "acme", Location: "us", Name: "proxy", Mode: "CONNECTOR_REPOSITORY"})
	client := newClient(t, e)

	for name, tc := range map[string]struct {
		name     string
		wantURI  string
		wantForm artifactregistrypb.Repository_Format
		wantMode artifactregistrypb.Repository_Mode
		wantCode codes.Code
	}{
		"standard": {
			name: services, wantURI: "us-central1-docker.pkg.dev/acme/services",
			wantForm: artifactregistrypb.Repository_DOCKER, wantMode: artifactregistrypb.Repository_STANDARD_REPOSITORY,
		},
		"by project number": {
			name: "projects/417/locations/us-central1/repositories/services", wantURI: "us-central1-docker.pkg.dev/acme/services",
			wantForm: artifactregistrypb.Repository_DOCKER, wantMode: artifactregistrypb.Repository_STANDARD_REPOSITORY,
		},
		"domain-scoped project behind eu.gcr.io": {
			name: "projects/example.com:web/locations/europe/repositories/eu.gcr.io", wantURI: "europe-docker.pkg.dev/example.com/web/eu.gcr.io",
			wantForm: artifactregistrypb.Repository_DOCKER, wantMode: artifactregistrypb.Repository_STANDARD_REPOSITORY,
		},
		"virtual and not Docker": {
			name: "projects/acme/locations/us/repositories/java", wantURI: "us-maven.pkg.dev/acme/java",
			wantForm: artifactregistrypb.Repository_MAVEN, wantMode: artifactregistrypb.Repository_VIRTUAL_REPOSITORY,
		},
		"a mode that the client does not know": {
			name: "projects/acme/locations/us/repositories/proxy", wantURI: "us-docker.pkg.dev/acme/proxy",
			wantForm: artifactregistrypb.Repository_DOCKER, wantMode: unlistedEnum,
		},
		"missing":        {name: "projects/acme/locations/us-central1/repositories/none", wantCode: codes.NotFound},
		"other location": {name: "projects/acme/locations/us/repositories/services", wantCode: codes.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := client.GetRepository(t.Context(), &artifactregistrypb.GetRepositoryRequest{Name: tc.name})
			if status.Code(err) != tc.wantCode {
				t.Fatalf("got %v, want code %v", err, tc.wantCode)
			}
			if err != nil {
				return
			}
			if got.GetRegistryUri() != tc.wantURI || got.GetFormat() != tc.wantForm || got.GetMode() != tc.wantMode {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestPolicyEtag(t *testing.T) {
	e, _ := newEmulator(t)
	client := newClient(t, e)
	ctx := t.Context()

	if raw := get(t, e.URL()+"/v1/"+services+":getIamPolicy?options.requestedPolicyVersion=3", "", ""); raw.body != `{"etag":"ACAB"}` {
		t.Errorf("an empty policy reads %s", raw.body)
	}
	first := read(t, client)
	wanted := policyOf(reader, "serviceAccount:"+node)
	wanted.Etag, wanted.Version = first.GetEtag(), 3
	written, err := client.SetIamPolicy(ctx, &iampb.SetIamPolicyRequest{Resource: services, Policy: wanted})
	if err != nil {
		t.Fatal(err)
	}
	if written.GetVersion() != 1 || len(written.GetEtag()) == 0 || string(written.GetEtag()) == string(first.GetEtag()) {
		t.Errorf("written policy is %v; want version 1 and an etag of its own", written)
	}
	if diff := cmp.Diff(written, read(t, client), protocmp.Transform()); diff != "" {
		t.Errorf("read back (-written +read):\n%s", diff)
	}

	_, err = client.SetIamPolicy(ctx, &iampb.SetIamPolicyRequest{Resource: services, Policy: wanted})
	var api *googleapi.Error
	if !errors.As(err, &api) || api.Code != http.StatusConflict || status.Code(err) != codes.Aborted ||
		!strings.Contains(err.Error(), "concurrent policy changes") {
		t.Errorf("a stale etag: got %v, want 409 ABORTED", err)
	}

	e.SetPolicy(services, policyOf(reader, "allUsers"))
	written.Bindings[0].Members = nil
	if _, err = client.SetIamPolicy(ctx, &iampb.SetIamPolicyRequest{Resource: services, Policy: written}); status.Code(err) != codes.Aborted {
		t.Errorf("after another writer: got %v, want Aborted", err)
	}
	written.Etag = nil
	emptied, err := client.SetIamPolicy(ctx, &iampb.SetIamPolicyRequest{Resource: services, Policy: written})
	if err != nil || len(emptied.GetBindings()) != 0 || emptied.GetVersion() != 1 {
		t.Errorf("a write without etag overwrites: got %v, %v", emptied, err)
	}
}

func read(t *testing.T, client *artifactregistry.Client) *iampb.Policy {
	t.Helper()
	policy, err := client.GetIamPolicy(t.Context(), &iampb.GetIamPolicyRequest{
		Resource: services, Options: &iampb.GetPolicyOptions{RequestedPolicyVersion: 3},
	})
	if err != nil {
		t.Fatal(err)
	}
	return policy
}

func TestSetPolicyRefusals(t *testing.T) {
	e, _ := newEmulator(t)
	e.AddServiceAccount("gone@acme.iam.gserviceaccount.com")
	e.DeleteServiceAccount("gone@acme.iam.gserviceaccount.com")
	client := newClient(t, e)
	many := make([]string, 0, maxPrincipals+1)
	for n := range maxPrincipals + 1 {
		many = append(many, fmt.Sprintf("user:u%d@example.com", n))
	}
	conditional := policyOf(reader, "serviceAccount:"+node)
	conditional.Bindings[0].Condition = &expr.Expr{Expression: "true"}

	for name, tc := range map[string]struct {
		policy *iampb.Policy
		want   string // Empty: accepted.
	}{
		"known account":        {policyOf(reader, "serviceAccount:"+node), ""},
		"account in capitals":  {policyOf(reader, "serviceAccount:Nodes@acme.iam.gserviceaccount.com"), ""},
		"default account":      {policyOf(reader, "serviceAccount:417-compute@developer.gserviceaccount.com"), ""},
		"deleted member stays": {policyOf(reader, "deleted:serviceAccount:old@acme.iam.gserviceaccount.com?uid=1234"), ""},
		"group and public":     {policyOf(reader, "group:devs@example.com", "allUsers"), ""},
		"1,500 principals":     {policyOf(reader, many[:maxPrincipals]...), ""},
		"1,501 principals":     {policyOf(reader, many...), "1501"},
		"unknown account":      {policyOf(reader, "serviceAccount:no@acme.iam.gserviceaccount.com"), "Service account no@acme.iam.gserviceaccount.com does not exist."},
		"deleted account":      {policyOf(reader, "user:a@example.com", "serviceAccount:gone@acme.iam.gserviceaccount.com"), "Service account gone@acme.iam.gserviceaccount.com does not exist."},
		"no member":            {policyOf(reader, node), "Invalid member"},
		"unknown role":         {policyOf("roles/none", "allUsers"), "not supported for this resource"},
		"condition":            {conditional, "Conditions"},
		"version 2":            {&iampb.Policy{Version: 2}, "version"},
	} {
		t.Run(name, func(t *testing.T) {
			before := e.Policy(services)
			_, err := client.SetIamPolicy(t.Context(), &iampb.SetIamPolicyRequest{Resource: services, Policy: tc.policy})
			if tc.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want InvalidArgument with %q", err, tc.want)
			}
			if diff := cmp.Diff(before, e.Policy(services), protocmp.Transform()); diff != "" {
				t.Errorf("a refused write changed the policy:\n%s", diff)
			}
		})
	}
}

func TestAuditConfigsNeedTheMask(t *testing.T) {
	e, _ := newEmulator(t)
	client := newClient(t, e)
	audited := policyOf(reader, "allUsers")
	audited.AuditConfigs = []*iampb.AuditConfig{{Service: "allServices"}}
	e.SetPolicy(services, audited)

	plain := &iampb.SetIamPolicyRequest{Resource: services, Policy: policyOf(reader, "serviceAccount:"+node)}
	got, err := client.SetIamPolicy(t.Context(), plain)
	if err != nil || len(got.GetAuditConfigs()) != 1 {
		t.Errorf("without a mask: got %v, %v; want the audit settings kept", got, err)
	}
	plain.UpdateMask = &fieldmaskpb.FieldMask{Paths: []string{"bindings", "etag", "audit_configs"}}
	if got, err = client.SetIamPolicy(t.Context(), plain); err != nil || len(got.GetAuditConfigs()) != 0 {
		t.Errorf("with the mask: got %v, %v; want them removed", got, err)
	}
}

// Writers that retry on conflict must lose none of their members.
func TestConcurrentWriters(t *testing.T) {
	e, _ := newEmulator(t)
	client := newClient(t, e)
	const writers = 8
	var wait sync.WaitGroup
	for n := range writers {
		wait.Go(func() {
			for {
				policy, err := client.GetIamPolicy(t.Context(), &iampb.GetIamPolicyRequest{Resource: services})
				if err != nil {
					t.Error(err)
					return
				}
				policy.Bindings = append(policy.Bindings, policyOf(reader, fmt.Sprintf("user:u%d@example.com", n)).GetBindings()...)
				_, err = client.SetIamPolicy(t.Context(), &iampb.SetIamPolicyRequest{Resource: services, Policy: policy})
				if err == nil {
					return
				}
				if status.Code(err) != codes.Aborted {
					t.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
	if got := e.Policy(services).GetBindings(); len(got) != 1 || len(got[0].GetMembers()) != writers {
		t.Errorf("got %v, want one binding of %d members", got, writers)
	}
}

func TestCallers(t *testing.T) {
	e, _ := newEmulator(t)
	as := func(token string) *artifactregistry.Client {
		return newClient(t, e, option.WithTokenSource(oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token})))
	}
	getPolicy := func(client *artifactregistry.Client) error {
		_, err := client.GetIamPolicy(t.Context(), &iampb.GetIamPolicyRequest{Resource: services})
		return err
	}
	getRepository := func(client *artifactregistry.Client) error {
		_, err := client.GetRepository(t.Context(), &artifactregistrypb.GetRepositoryRequest{Name: services})
		return err
	}
	operator, member := newClient(t, e), as(e.Token(node))

	if err := getRepository(as("of nobody")); status.Code(err) != codes.Unauthenticated {
		t.Errorf("an unknown token: got %v, want Unauthenticated", err)
	}
	if err := getRepository(member); status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "artifactregistry.repositories.get") {
		t.Errorf("without a grant: got %v, want PermissionDenied that names the permission", err)
	}
	e.SetPolicy(services, policyOf(reader, "serviceAccount:"+node))
	if err := getRepository(member); err != nil {
		t.Errorf("as reader: %v", err)
	}
	if err := getPolicy(member); status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), permissionGetIAM) {
		t.Errorf("as reader, the policy: got %v, want PermissionDenied that names the permission", err)
	}
	e.SetProjectPolicy("acme", policyOf("roles/viewer", "serviceAccount:"+node))
	if err := getPolicy(member); err != nil {
		t.Errorf("as viewer of the project: %v", err)
	}
	e.RestrictCaller("", permissionGet)
	if err := getRepository(operator); err != nil {
		t.Errorf("the restricted operator, allowed: %v", err)
	}
	if err := getPolicy(operator); status.Code(err) != codes.PermissionDenied {
		t.Errorf("the restricted operator: got %v, want PermissionDenied", err)
	}
	e.UnrestrictCaller("")
	if err := getPolicy(operator); err != nil {
		t.Errorf("the unrestricted operator: %v", err)
	}
}

func TestTestIamPermissionsAnswersForTheCaller(t *testing.T) {
	e, _ := newEmulator(t)
	e.AddRole("projects/acme/roles/puller", permissionDownload)
	e.SetPolicy(services, policyOf("projects/acme/roles/puller", "serviceAccount:"+node))
	client := newClient(t, e, option.WithTokenSource(oauth2.StaticTokenSource(&oauth2.Token{AccessToken: e.Token(node)})))
	got, err := client.TestIamPermissions(t.Context(), &iampb.TestIamPermissionsRequest{
		Resource: services, Permissions: []string{permissionDownload, permissionSetIAM},
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{permissionDownload}, got.GetPermissions()); diff != "" {
		t.Errorf("permissions (-want +got):\n%s", diff)
	}
}

func TestTagsAndImages(t *testing.T) {
	e, _ := newEmulator(t)
	if err := e.PushImage("us-central1-docker.pkg.dev/acme/services/team/app:2.0"); err != nil {
		t.Fatal(err)
	}
	client := newClient(t, e)
	parent := services + "/packages/team%2Fapp"
	tag, err := client.GetTag(t.Context(), &artifactregistrypb.GetTagRequest{Name: parent + "/tags/2.0"})
	if err != nil {
		t.Fatal(err)
	}
	_, digest, _ := strings.Cut(tag.GetVersion(), "/versions/")
	image, err := client.GetDockerImage(t.Context(), &artifactregistrypb.GetDockerImageRequest{
		Name: services + "/dockerImages/team%2Fapp@" + digest,
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"2.0"}, image.GetTags()); diff != "" || image.GetImageSizeBytes() == 0 {
		t.Errorf("image %v: tags (-want +got):\n%s", image, diff)
	}
	if _, err := client.GetTag(t.Context(), &artifactregistrypb.GetTagRequest{Name: parent + "/tags/3.0"}); status.Code(err) != codes.NotFound {
		t.Errorf("a missing tag: got %v, want NotFound", err)
	}
	var tags []string
	for it := client.ListTags(t.Context(), &artifactregistrypb.ListTagsRequest{Parent: parent}); ; {
		tag, err := it.Next()
		if errors.Is(err, iterator.Done) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		tags = append(tags, tag.GetName())
	}
	if diff := cmp.Diff([]string{parent + "/tags/2.0"}, tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	images := 0
	for it := client.ListDockerImages(t.Context(), &artifactregistrypb.ListDockerImagesRequest{Parent: services}); ; images++ {
		if _, err := it.Next(); errors.Is(err, iterator.Done) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if images != 2 {
		t.Errorf("got %d images, want 2", images)
	}
}

func TestRequestsAreRecorded(t *testing.T) {
	e, _ := newEmulator(t)
	client := newClient(t, e)
	ctx := callctx.SetHeaders(context.Background(), "x-goog-request-reason", "grant-one")
	if _, err := client.SetIamPolicy(ctx, &iampb.SetIamPolicyRequest{Resource: services, Policy: &iampb.Policy{}}); err != nil {
		t.Fatal(err)
	}
	_ = pullAs(t, e, appImage, e.Token(node))
	want := []Request{
		{Method: "SetIamPolicy", Resource: services, Status: 200, Reason: "grant-one"},
		{Method: "token", Resource: "us-central1-docker.pkg.dev/acme/services/app", Status: 403, Caller: node},
	}
	if diff := cmp.Diff(want, e.Requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}
