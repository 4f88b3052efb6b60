// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"google.golang.org/api/compute/v1"

	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
)

// instanceName is a node's provider ID: gce://PROJECT/ZONE/NAME.
var instanceName = regexp.MustCompile(`^gce://((?:[a-z0-9][a-z0-9.-]*:)?[a-z0-9][a-z0-9-]*)/([a-z][a-z0-9-]*)/([a-z][a-z0-9-]*)$`)

// NodeAccount says as whom the node with this provider ID pulls: the service
// account of its instance, with the scopes that bound it. Node is left empty.
func (c *Client) NodeAccount(ctx context.Context, providerID string) diagnosis.Puller {
	name := instanceName.FindStringSubmatch(providerID)
	if name == nil {
		return diagnosis.Puller{Obstacle: unreadable(foreign(providerID))}
	}
	project, zone, instance := name[1], name[2], name[3]
	puller := diagnosis.Puller{Instance: project + "/" + zone + "/" + instance}

	var found *compute.Instance
	f := c.call(ctx, func(ctx context.Context, s *apis) (err error) {
		found, err = s.instances.Get(project, zone, instance).Fields("serviceAccounts(email,scopes)").Context(ctx).Do()
		return err
	})
	switch {
	case f != nil && f.kind == notFound:
		puller.Obstacle = unreadable("Compute Engine has no instance " + puller.Instance)
	case f != nil:
		puller.Obstacle = f.obstacle(permissionGetInstance)
	case len(found.ServiceAccounts) == 0:
		puller.State = diagnosis.Missing
	default:
		return withAccount(puller, found.ServiceAccounts[0])
	}
	return puller
}

// withAccount names the instance's account; an instance has one at most.
// https://cloud.google.com/compute/docs/access/service-accounts
func withAccount(puller diagnosis.Puller, account *compute.ServiceAccount) diagnosis.Puller {
	email := strings.ToLower(account.Email)
	if !iampolicy.IsServiceAccountMember("serviceAccount:" + email) {
		puller.Obstacle = unreadable(fmt.Sprintf("the instance runs as %q, which is no service account", clean(account.Email)))
		return puller
	}
	puller.State, puller.Email, puller.Scopes = diagnosis.Present, email, account.Scopes
	return puller
}

func foreign(providerID string) string {
	if providerID == "" {
		return "the node has no provider ID, so its instance is unknown"
	}
	return fmt.Sprintf("the node's provider ID %q names no Compute Engine instance", clean(providerID))
}

func unreadable(detail string) diagnosis.Obstacle {
	return diagnosis.Obstacle{Kind: diagnosis.Unreadable, Detail: detail}
}
