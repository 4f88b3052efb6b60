// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"strings"

	"cloud.google.com/go/iam/apiv1/iampb"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/genproto/googleapis/type/expr"
)

// What reading a project takes.
const (
	permissionGetProject       = "resourcemanager.projects.get"
	permissionGetProjectPolicy = "resourcemanager.projects.getIamPolicy"
)

// badProject is the fault of a name that cannot be asked for.
var badProject = fault{kind: invalid, detail: "this is no ID of a Google Cloud project"}

// projectPolicy reads a project's own policy.
func (c *Client) projectPolicy(ctx context.Context, project string) (*iampb.Policy, *fault) {
	if !projectName.MatchString(project) {
		f := badProject
		return nil, &f
	}
	var found *cloudresourcemanager.Policy
	f := c.readCall(ctx, target{resourceManager, project}, func(ctx context.Context, s *apis) (err error) {
		found, err = s.projects.GetIamPolicy("projects/"+project, &cloudresourcemanager.GetIamPolicyRequest{
			Options: &cloudresourcemanager.GetPolicyOptions{RequestedPolicyVersion: policyVersion},
		}).Fields("bindings").Context(ctx).Do()
		return err
	})
	if f != nil {
		return nil, f
	}
	// Only the bindings, and only to be read: nothing is ever written back.
	policy := &iampb.Policy{}
	for _, b := range found.Bindings {
		binding := &iampb.Binding{Role: b.Role, Members: b.Members}
		if b.Condition != nil {
			binding.Condition = &expr.Expr{Title: b.Condition.Title, Expression: b.Condition.Expression}
		}
		policy.Bindings = append(policy.Bindings, binding)
	}
	return policy, nil
}

// projectNumber looks up the number that goes with a project's ID.
func (c *Client) projectNumber(ctx context.Context, project string) (string, *fault) {
	return remember(ctx, c.shared.numbers, project, func(ctx context.Context) (string, *fault) {
		var found *cloudresourcemanager.Project
		f := c.readCall(ctx, target{resourceManager, project}, func(ctx context.Context, s *apis) (err error) {
			found, err = s.projects.Get("projects/" + project).Fields("name").Context(ctx).Do()
			return err
		})
		if f != nil {
			return "", f
		}
		number, named := strings.CutPrefix(found.Name, "projects/")
		if !named || number == "" || strings.Trim(number, "0123456789") != "" {
			return "", &fault{detail: "Google gives no number for project " + project}
		}
		return number, nil
	})
}
