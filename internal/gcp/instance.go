// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"regexp"

	"github.com/pull-access/pull-access-operator/internal/diagnosis"
)

// permissionGetInstance is what reading an instance takes.
const permissionGetInstance = "compute.instances.get"

// instanceName is a node's provider ID: gce://PROJECT/ZONE/NAME.
var instanceName = regexp.MustCompile(`^gce://((?:[a-z0-9][a-z0-9.-]*:)?[a-z0-9][a-z0-9-]*)/([a-z][a-z0-9-]*)/([a-z][a-z0-9-]*)$`)

// instance names a virtual instanceAnswer of Compute Engine.
type instance struct {
	project, zone, name string
}

func parseInstance(providerID string) (*instance, bool) {
	parts := instanceName.FindStringSubmatch(providerID)
	if parts == nil {
		return nil, false
	}
	return &instance{project: parts[1], zone: parts[2], name: parts[3]}, true
}

// fullName is how a puller names its instance.
func (i instance) fullName() string { return i.project + "/" + i.zone + "/" + i.name }

// fromInstance says as whom a node's instance acts, and whether somebody else may
// know better: not where Compute Engine told, nor where it may tell in a while.
func (c *Client) fromInstance(ctx context.Context, at *instance) (puller diagnosis.Puller, askOn bool) {
	if at == nil {
		return diagnosis.Puller{Obstacle: unreadable("the node has no provider ID, so its instance is unknown")}, true
	}
	puller = diagnosis.Puller{Instance: at.fullName()}

	var found *instanceAnswer
	f := c.readCall(ctx, target{computeEngine, at.project}, func(ctx context.Context, s *apis) (err error) {
		found, err = s.instances.Get(ctx, at)
		return err
	})
	switch {
	case f != nil && f.kind == notFound:
		puller.Obstacle = unreadable("Compute Engine has no instance " + puller.Instance)
		return puller, true
	case f != nil:
		puller.Obstacle = c.obstacle(ctx, f, at.project, permissionGetInstance)
		return puller, f.otherAPIMayTell()
	case len(found.ServiceAccounts) == 0:
		puller.State = diagnosis.Missing
		return puller, false
	default: // An instance has one at most: https://cloud.google.com/compute/docs/access/service-accounts
		account := found.ServiceAccounts[0]
		return withAccount(puller, account.Email, account.Scopes), false
	}
}

func unreadable(detail string) diagnosis.Obstacle {
	return diagnosis.Obstacle{Kind: diagnosis.Unreadable, Detail: detail}
}
