// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"slices"
	"strings"
)

// locations are all locations of Artifact Registry, sorted, from gcloud 528.0.0. The API
// lists all of them for every project.
var locations = []string{
	"africa-south1", "asia", "asia-east1", "asia-east2", "asia-northeast1", "asia-northeast2",
	"asia-northeast3", "asia-south1", "asia-south2", "asia-southeast1", "asia-southeast2",
	"australia-southeast1", "australia-southeast2", "europe", "europe-central2", "europe-north1",
	"europe-north2", "europe-southwest1", "europe-west1", "europe-west10", "europe-west12",
	"europe-west2", "europe-west3", "europe-west4", "europe-west6", "europe-west8", "europe-west9",
	"me-central1", "me-central2", "me-west1", "northamerica-northeast1", "northamerica-northeast2",
	"northamerica-south1", "southamerica-east1", "southamerica-west1", "us", "us-central1",
	"us-central2", "us-east1", "us-east4", "us-east5", "us-east7", "us-south1", "us-west1", "us-west2",
	"us-west3", "us-west4", "us-west8",
}

// Locations lists all locations of Artifact Registry.
func Locations() []string { return slices.Clone(locations) }

// isLocated reports whether a resource name has an existing location, or none. "-" stands
// for all locations, and only where resources are listed.
func isLocated(name string) bool {
	_, rest, ok := strings.Cut(name, "/locations/")
	if !ok {
		return true
	}
	location, _, below := strings.Cut(rest, "/")
	_, known := slices.BinarySearch(locations, location)
	return known || location == "-" && !below
}
