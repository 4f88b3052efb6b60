// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	artifactregistry "cloud.google.com/go/artifactregistry/apiv1"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/container/v1"
	"google.golang.org/api/iam/v1"
	"google.golang.org/api/option"
	"google.golang.org/api/policytroubleshooter/v3"
	htransport "google.golang.org/api/transport/http"
)

// apis are Google's clients; they hold credentials and connections.
// docs/google-cloud.md lists in which project each API must be enabled.
type apis struct {
	artifacts      *artifactregistry.Client
	instances      *computeClient
	clusters       *container.ProjectsLocationsClustersService
	projects       *cloudresourcemanager.ProjectsService
	roles          *iam.Service
	troubleshooter *policytroubleshooter.IamService
}

// connect returns clients that call the endpoint without credentials. If endpoint is "",
// they call Google with Application Default Credentials.
func connect(ctx context.Context, endpoint, userAgent string, timeout time.Duration) (*apis, error) {
	common := []option.ClientOption{option.WithUserAgent(userAgent), option.WithTelemetryDisabled()}
	if endpoint != "" {
		common = append(common, option.WithoutAuthentication())
	}
	return newAPIs(ctx, endpoint, timeout, func(scope string) (*http.Client, error) {
		client, _, err := htransport.NewClient(ctx, append(slices.Clone(common), option.WithScopes(scope))...)
		if err != nil {
			return nil, err
		}
		client.Transport = boundedTransport{client.Transport}
		return client, nil
	})
}

// newAPIs creates each API's client from an HTTP client with the required scope. No request takes longer than timeout:
// the requests of a list have no context that would end them.
func newAPIs(ctx context.Context, endpoint string, timeout time.Duration, newHTTPClient func(scope string) (*http.Client, error)) (*apis, error) {
	readAll, readErr := newHTTPClient(cloudresourcemanager.CloudPlatformReadOnlyScope)
	writeAll, writeErr := newHTTPClient(cloudresourcemanager.CloudPlatformScope)
	compute, computeErr := newHTTPClient(computeScope)
	if err := errors.Join(readErr, writeErr, computeErr); err != nil {
		return nil, err
	}
	for _, client := range []*http.Client{readAll, writeAll, compute} {
		client.Timeout = timeout
	}
	at := func(client *http.Client, path string) []option.ClientOption {
		options := []option.ClientOption{option.WithHTTPClient(client)}
		if endpoint != "" {
			options = append(options, option.WithEndpoint(endpoint+path))
		}
		return options
	}
	artifacts, err := artifactregistry.NewRESTClient(ctx, at(writeAll, "")...)
	if err != nil {
		return nil, err
	}
	clusters, containerErr := container.NewService(ctx, at(writeAll, "/")...)
	projects, projectsErr := cloudresourcemanager.NewService(ctx, at(readAll, "/")...)
	roles, rolesErr := iam.NewService(ctx, at(writeAll, "/")...)
	troubleshooter, troubleshooterErr := policytroubleshooter.NewService(ctx, at(writeAll, "/")...)
	if err := errors.Join(containerErr, projectsErr, rolesErr, troubleshooterErr); err != nil {
		return nil, errors.Join(err, artifacts.Close())
	}
	return &apis{
		artifacts: artifacts, instances: newComputeClient(compute, endpoint), clusters: clusters.Projects.Locations.Clusters,
		projects: projects.Projects, roles: roles, troubleshooter: troubleshooter.Iam,
	}, nil
}

// Limits of a response, in bytes. The largest responses are lists: 4 MiB hold 1,000 packages, or versionsPerPage versions
// with 40 tags each. All workers may read responses at the same time, but only maxListsAtOnce of them read lists.
const (
	maxAnswer = 4 << 20
	maxError  = 1 << 20
)

// boundedTransport limits the size of a response, because Google's clients read all of it.
type boundedTransport struct{ base http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b boundedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	limit := int64(maxAnswer)
	if response.StatusCode >= http.StatusMultipleChoices {
		limit = maxError
	}
	response.Body = http.MaxBytesReader(nil, response.Body, limit)
	return response, nil
}
