// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"fmt"
	"regexp"

	"google.golang.org/api/compute/v1"

	"github.com/pull-access/pull-access-operator/internal/diagnosis"
)

// permissionGetInstance is what reading an instance takes.
const permissionGetInstance = "compute.instances.get"

// instanceName is a node's provider ID: gce://PROJECT/ZONE/NAME.
var instanceName = regexp.MustCompile(`^gce://((?:[a-z0-9][a-z0-9.-]*:)?[a-z0-9][a-z0-9-]*)/([a-z][a-z0-9-]*)/([a-z][a-z0-9-]*)$`)

// fromInstance says as whom the instance behind a provider ID acts, and whether
// somebody else may know better: not where Compute Engine told, nor where it may
// tell in a while.
func (c *Client) fromInstance(ctx context.Context, providerID string) (puller diagnosis.Puller, askOn bool) {
	name := instanceName.FindStringSubmatch(providerID)
	if name == nil {
		return diagnosis.Puller{Obstacle: unreadable(foreign(providerID))}, true
	}
	project, zone, instance := name[1], name[2], name[3]
	puller = diagnosis.Puller{Project: project, Instance: project + "/" + zone + "/" + instance}

	var found *compute.Instance
	f := c.call(ctx, func(ctx context.Context, s *apis) (err error) {
		found, err = s.instances.Get(project, zone, instance).Fields("serviceAccounts(email,scopes)").Context(ctx).Do()
		return err
	})
	switch {
	case f != nil && f.kind == notFound:
		puller.Obstacle = unreadable("Compute Engine has no instance " + puller.Instance)
		return puller, true
	case f != nil:
		puller.Obstacle = f.obstacle(permissionGetInstance)
		return puller, f.refused()
	case len(found.ServiceAccounts) == 0:
		puller.State = diagnosis.Missing
		return puller, false
	default: // An instance has one at most: https://cloud.google.com/compute/docs/access/service-accounts
		account := found.ServiceAccounts[0]
		return withAccount(puller, account.Email, account.Scopes), false
	}
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
