// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"strings"

	"github.com/pull-access/pull-access-operator/internal/diagnosis"
)

// obstacle says why a fact of a project is unknown; permission is what reading it
// takes. Google also refuses for the API or the billing of the project through
// which the asking account calls: that says nothing of the project asked about,
// so APIOff and BillingOff are only told where Google names the latter.
func (c *Client) obstacle(ctx context.Context, f *fault, project, permission string) diagnosis.Obstacle {
	o := f.obstacle(permission)
	if f.kind != apiOff && f.kind != billingOff || c.same(ctx, f.consumer, project) {
		return o
	}
	o.Kind = diagnosis.Unreadable
	if f.consumer != "" {
		o.Detail += ", through which the asking account calls"
	}
	return o
}

// same tells whether consumer, which Google names by number or by ID, is known
// to be the project of that ID.
func (c *Client) same(ctx context.Context, consumer, project string) bool {
	named, ok := strings.CutPrefix(consumer, "projects/")
	switch {
	case !ok || named == "":
		return false
	case strings.Trim(named, "0123456789") != "":
		return named == project
	}
	number, f := c.projectNumber(ctx, project)
	return f == nil && number == named
}
