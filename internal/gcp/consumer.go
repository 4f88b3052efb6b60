// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"strings"

	"github.com/pull-access/pull-access-operator/internal/diagnosis"
)

// obstacle says why a fact of a project is unknown; permission is what reading it takes.
// Google also denies a call because of the API, the billing or the ID of the caller's own
// project. Such a denial says nothing about the requested project, so obstacle returns
// APIOff and BillingOff only if Google names that project.
func (c *Client) obstacle(ctx context.Context, f *fault, project, permission string) diagnosis.Obstacle {
	o := f.obstacle(permission)
	switch f.kind {
	case consumerInvalid:
		if o.Consumer != project && strings.Trim(o.Consumer, "0123456789") != "" {
			o.Detail = invalidConsumerMessage(f.consumer, calledThrough)
		}
	case apiOff, billingOff:
		if c.same(ctx, f.consumer, project) {
			return o
		}
		o.Kind = diagnosis.Unreadable
		if f.consumer != "" {
			o.Detail += calledThrough
		}
	default: // The error is about the asking account or the requested resource.
	}
	return o
}

const calledThrough = ", through which the asking account calls"

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
