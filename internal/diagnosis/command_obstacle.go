// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"cmp"
	"fmt"
	"regexp"
)

// command returns a shell command that removes the obstacle to a read in project, or
// investigates it. It returns "" if no command is better than the read itself.
//
// It validates each name from Google, because a shell runs the command.
func (o Obstacle) command(read string) string {
	consumer, read := matching(project, o.Consumer), matching(project, read)
	api := ServiceName(o.Service)
	switch {
	case o.Kind == QuotaProjectDenied && consumer != "":
		// Google does not name the asking account.
		return fmt.Sprintf(`gcloud projects add-iam-policy-binding %s --member="$MEMBER" --role=roles/serviceusage.serviceUsageConsumer --condition=None`, consumer)
	case o.Kind == ConsumerInvalid && consumer != "":
		return "gcloud projects describe " + consumer
	case api != "" && consumer != "":
		return enableAPI(api, consumer)
	case o.Kind == BillingOff && cmp.Or(consumer, read) != "":
		return describeBilling(cmp.Or(consumer, read))
	case read == "":
		return ""
	case o.Kind == APIOff:
		return enableAPI(cmp.Or(api, artifactRegistryAPI), read)
	case o.Kind == Perimeter:
		return readDenials(o.Identifier, read)
	case o.Kind == InvalidLocation:
		return "gcloud artifacts locations list --project=" + read
	default:
		return ""
	}
}

var (
	servicePattern    = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}(\.[a-z0-9][a-z0-9-]{0,62}){1,5}$`)
	identifierPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)
)

// ServiceName returns s if it can be the name of a Google API, such as compute.googleapis.com, else "".
func ServiceName(s string) string { return matching(servicePattern, s) }

// PerimeterIdentifier returns s if it can be the identifier of a refusal by VPC Service Controls, at most 128 bytes, else "".
func PerimeterIdentifier(s string) string { return matching(identifierPattern, s) }

func matching(pattern *regexp.Regexp, s string) string {
	if pattern.MatchString(s) {
		return s
	}
	return ""
}

const artifactRegistryAPI = "artifactregistry.googleapis.com"

func enableAPI(service, projectID string) string {
	return "gcloud services enable " + service + " --project=" + projectID
}

func describeBilling(project string) string { return "gcloud billing projects describe " + project }

// readDenials returns a command that finds denials by VPC Service Controls in the project's
// audit log: the one with the identifier, or all.
// https://cloud.google.com/vpc-service-controls/docs/retrieve-troubleshooting-information
func readDenials(id, project string) string {
	filter := `protoPayload.metadata."@type"="type.googleapis.com/google.cloud.audit.VpcServiceControlAuditMetadata"`
	if PerimeterIdentifier(id) != "" {
		filter = fmt.Sprintf("protoPayload.metadata.vpcServiceControlsUniqueId=%q", id)
	}
	return "gcloud logging read '" + filter + "' --project=" + project + " --freshness=1h --limit=10"
}
