// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/googleapis/gax-go/v2/apierror"
	"google.golang.org/api/googleapi"
)

const (
	computeURL = "https://compute.googleapis.com"
	// computeScope is the least that instances.get takes.
	// https://cloud.google.com/compute/docs/reference/rest/v1/instances/get
	computeScope = "https://www.googleapis.com/auth/compute.readonly"
	// maxInstance bounds an answer, in bytes; it holds an account and its scopes.
	maxInstance = 1 << 20
)

// computeClient reads instances of Compute Engine. Google's own client for that is a sixth
// of the operator's binary, for this one call.
type computeClient struct {
	client *http.Client
	url    string
}

// errNoInstance says that an answer is not about an instance, so that it does not read as
// one without an account.
var errNoInstance = errors.New("the answer of Compute Engine names no instance")

// instanceAnswer is what is asked of an instance: an instance has one service account at most.
type instanceAnswer struct {
	Name            string `json:"name"`
	ServiceAccounts []struct {
		Email  string   `json:"email"`
		Scopes []string `json:"scopes"`
	} `json:"serviceAccounts"`
}

func newComputeClient(client *http.Client, endpoint string) *computeClient {
	return &computeClient{client: client, url: cmp.Or(endpoint, computeURL)}
}

// Get reads one instance. Errors are those of Google's clients.
func (i *computeClient) Get(ctx context.Context, at *instance) (*instanceAnswer, error) {
	target := fmt.Sprintf("%s/compute/v1/projects/%s/zones/%s/instances/%s?fields=%s", i.url,
		url.PathEscape(at.project), url.PathEscape(at.zone), url.PathEscape(at.name), url.QueryEscape("name,serviceAccounts(email,scopes)"))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	response, err := i.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if err := googleapi.CheckResponse(response); err != nil {
		return nil, withDetails(err)
	}
	found := &instanceAnswer{}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxInstance)).Decode(found); err != nil {
		return nil, err
	}
	if found.Name != at.name {
		return nil, errNoInstance
	}
	return found, nil
}

// withDetails has the error tell what its details say, as Google's clients do.
func withDetails(err error) error {
	var answer *googleapi.Error
	if details, ok := apierror.ParseError(err, false); ok && errors.As(err, &answer) {
		answer.Wrap(details) // They do not wrap it in turn.
	}
	return err
}
