// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"errors"
	"slices"

	artifactregistry "cloud.google.com/go/artifactregistry/apiv1"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/container/v1"
	"google.golang.org/api/iam/v1"
	"google.golang.org/api/option"
	"google.golang.org/api/policytroubleshooter/v3"
)

// apis are Google's clients; they hold credentials and connections.
type apis struct {
	artifacts      *artifactregistry.Client
	instances      *computeClient
	clusters       *container.ProjectsLocationsClustersService
	projects       *cloudresourcemanager.ProjectsService
	roles          *iam.Service
	troubleshooter *policytroubleshooter.IamService
}

func connect(ctx context.Context, endpoint, userAgent string) (*apis, error) {
	common := []option.ClientOption{option.WithUserAgent(userAgent), option.WithTelemetryDisabled()}
	at := func(string) []option.ClientOption { return slices.Clone(common) }
	if endpoint != "" {
		common = append(common, option.WithoutAuthentication())
		at = func(path string) []option.ClientOption {
			return slices.Concat(common, []option.ClientOption{option.WithEndpoint(endpoint + path)})
		}
	}
	artifacts, err := artifactregistry.NewRESTClient(ctx, at("")...)
	if err != nil {
		return nil, err
	}
	machines, computeErr := newComputeClient(ctx, endpoint, common...)
	clusters, containerErr := container.NewService(ctx, at("/")...)
	projects, projectsErr := cloudresourcemanager.NewService(ctx, append(at("/"), option.WithScopes(cloudresourcemanager.CloudPlatformReadOnlyScope))...)
	roles, rolesErr := iam.NewService(ctx, at("/")...)
	troubleshooter, troubleshooterErr := policytroubleshooter.NewService(ctx, at("/")...)
	if err := errors.Join(computeErr, containerErr, projectsErr, rolesErr, troubleshooterErr); err != nil {
		return nil, errors.Join(err, artifacts.Close())
	}
	return &apis{
		artifacts: artifacts, instances: machines, clusters: clusters.Projects.Locations.Clusters,
		projects: projects.Projects, roles: roles, troubleshooter: troubleshooter.Iam,
	}, nil
}
