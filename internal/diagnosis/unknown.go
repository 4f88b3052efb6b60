// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import "strings"

// unknowns lists what was needed and is not known, in the order of the flow.
func unknowns(f Facts) []string {
	need := Needs(f)
	if need.Access && nothingRead(f) {
		return []string{"the node's service account, the repository, its IAM policy and the image in it: they were not read"}
	}
	var list []string
	add := func(needed bool, state State, what string, o Obstacle) {
		if needed && state == Unknown && o.Kind != NotRead {
			list = append(list, what+": "+o.Why())
		}
	}
	add(need.Puller, f.Puller.State, "the node's service account", f.Puller.Obstacle)
	for _, secret := range f.Puller.Secrets {
		add(need.Puller, secret.State, "pull secret "+secret.Name, secret.Obstacle)
	}
	add(need.Repository, f.Repository.State, "the repository", f.Repository.Obstacle)
	add(need.Content, f.Content.State, "whether the repository holds the image", f.Content.Obstacle)
	add(need.Access, f.Access.State, "the repository's IAM policy", f.Access.Obstacle)
	add(need.Access, f.ProjectAccess.State, "the project's IAM policy", f.ProjectAccess.Obstacle)
	if f.Access.State != Unknown && f.Overall.State == Unknown {
		overall := f.Overall.Obstacle
		if overall.Kind == NotRead {
			overall.Detail = "Policy Troubleshooter was not asked"
		}
		list = append(list, "deny policies and access from folders and the organization: "+overall.Why())
	}
	if groups := append(append([]string(nil), f.Access.Groups...), f.ProjectAccess.Groups...); len(groups) > 0 {
		list = append(list, "whether the account is a member of "+strings.Join(groups, ", ")+": memberships of groups are not read")
	}
	return list
}

// Why is the obstacle as the end of a sentence, without a full stop.
func (o Obstacle) Why() string {
	if o.Identifier == "" {
		return detail(o)
	}
	return detail(o) + " (vpcServiceControlsUniqueIdentifier " + o.Identifier + ")"
}

// identifierNote begins the sentence that names the identifier of one denial.
const identifierNote = " Unique identifier of the refusal by VPC Service Controls: "

// Note returns a sentence with the unique identifier of Google's last denial, to append to
// other sentences. It returns "" if there is none.
func (o Obstacle) Note() string {
	if o.Identifier == "" {
		return ""
	}
	return identifierNote + o.Identifier + "."
}

// WithoutNote removes the part of the sentences that changes with every denial.
func WithoutNote(sentences string) string {
	same, _, _ := strings.Cut(sentences, identifierNote)
	return same
}

// detail describes the obstacle as the end of a sentence. It is the same for every such
// error.
func detail(o Obstacle) string {
	switch {
	case o.Kind == Forbidden && o.Permission != "":
		return "the asking account lacks permission " + o.Permission
	case o.Detail != "":
		return o.Detail
	default:
		return "it was not read"
	}
}
