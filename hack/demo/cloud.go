// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
)

// The names in the emulated Google Cloud; those in the manifests are the same.
const (
	nodeProject  = "acme-prod-417"
	imageProject = "acme-images-306"
	location     = "us-central1"
	zone         = location + "-a"
	nodeName     = "gke-prod-1"
	nodeAccount  = "gke-nodes@" + nodeProject + ".iam.gserviceaccount.com"
	imageHost    = location + "-docker.pkg.dev/" + imageProject

	readerRole = "roles/artifactregistry.reader"

	goodImage   = imageHost + "/services/checkout:1.4.2"
	fencedImage = imageHost + "/payments/ledger:3.0.0"
)

// propagation is how long the emulated IAM needs to spread a change. Google's
// typically needs 2 minutes; like the node's back-off, it is ten times faster here.
const propagation = 8 * time.Second

// othersBindings is what is in the policy of the repository already, and has to stay.
const othersBindings = `{"policy":{"bindings":[
 {"role":"roles/artifactregistry.reader","members":["serviceAccount:scanner@acme-images-306.iam.gserviceaccount.com"]},
 {"role":"roles/artifactregistry.writer","members":["serviceAccount:ci@acme-images-306.iam.gserviceaccount.com"]}]}}`

func nodeInstance() gcpemulator.Instance {
	return gcpemulator.Instance{Project: nodeProject, Zone: zone, Name: nodeName, ServiceAccount: nodeAccount}
}

func repositoryName(name string) string {
	return "projects/" + imageProject + "/locations/" + location + "/repositories/" + name
}

// startCloud starts a Google Cloud in which the nodes' account may read no repository.
func startCloud(ctx context.Context) (*gcpemulator.Emulator, error) {
	cloud, err := gcpemulator.Start() //nolint:contextcheck // It lives as long as the demo, not as this call.
	if err != nil {
		return nil, err
	}
	if err := furnish(ctx, cloud); err != nil {
		return nil, errors.Join(err, cloud.Close())
	}
	return cloud, nil
}

func furnish(ctx context.Context, cloud *gcpemulator.Emulator) error {
	cloud.AddProject(nodeProject, 417417417417)
	cloud.AddProject(imageProject, 306306306306)
	for _, email := range []string{
		nodeAccount, "scanner@" + imageProject + ".iam.gserviceaccount.com", "ci@" + imageProject + ".iam.gserviceaccount.com",
	} {
		cloud.AddServiceAccount(email)
	}
	cloud.AddInstance(nodeInstance())
	for _, name := range []string{"services", "payments"} {
		cloud.AddRepository(gcpemulator.Repository{Project: imageProject, Location: location, Name: name})
	}
	for _, image := range []string{goodImage, fencedImage} {
		if err := cloud.PushImage(image); err != nil {
			return err
		}
	}
	if err := setPolicy(ctx, cloud, "services", othersBindings); err != nil {
		return err
	}
	cloud.SetPropagationDelay(propagation)
	return nil
}

// setPolicy writes a policy as any client of the API would.
func setPolicy(ctx context.Context, cloud *gcpemulator.Emulator, repository, body string) error {
	url := cloud.URL() + "/v1/" + repositoryName(repository) + ":setIamPolicy"
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return fmt.Errorf("set policy of %s: %w", repository, err)
	}
	request.Header.Set("Content-Type", "application/json")
	if _, err := do(http.DefaultClient, request); err != nil {
		return fmt.Errorf("set policy of %s: %w", repository, err)
	}
	return nil
}

func get(ctx context.Context, client *http.Client, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	return do(client, request)
}

// do returns the answer's body; an answer other than 200 is an error.
func do(client *http.Client, request *http.Request) (string, error) {
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", request.URL, err)
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s answered %s: %s", request.URL, response.Status, body)
	}
	return string(body), nil
}

// access is a repository's IAM policy as one line a member, sorted.
type access []string

func accessOf(cloud *gcpemulator.Emulator, repository string) access {
	var found access
	for _, binding := range cloud.Policy(repositoryName(repository)).GetBindings() {
		for _, member := range binding.GetMembers() {
			found = append(found, binding.GetRole()+"  "+member)
		}
	}
	slices.Sort(found)
	return found
}

// diff is what changed from one policy to another, one line a member.
func diff(before, after access) string {
	all := slices.Concat(before, after)
	slices.Sort(all)
	var text strings.Builder
	for _, member := range slices.Compact(all) {
		mark := " "
		switch {
		case !slices.Contains(before, member):
			mark = "+"
		case !slices.Contains(after, member):
			mark = "-"
		}
		fmt.Fprintf(&text, "%s %s\n", mark, member)
	}
	return text.String()
}

// writes lists the policy writes that were answered with success and carried a
// request reason: the operator's, since nobody else here gives one.
func writes(cloud *gcpemulator.Emulator) []gcpemulator.Request {
	return slices.DeleteFunc(cloud.Requests(), func(r gcpemulator.Request) bool {
		return r.Method != "SetIamPolicy" || r.Status != http.StatusOK || r.Reason == ""
	})
}
