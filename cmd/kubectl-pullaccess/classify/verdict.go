// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package classify

import "github.com/pull-access/pull-access-operator/internal/pullfailure"

// verdict is the line that is printed. Its fields and their order are a promise.
type verdict struct {
	Cause          pullfailure.Cause          `json:"cause"`
	Candidates     []pullfailure.Cause        `json:"candidates"`
	Repairable     bool                       `json:"repairable"`
	Evidence       string                     `json:"evidence"`
	HTTPStatus     int                        `json:"httpStatus"`
	Permission     string                     `json:"permission"`
	CredentialSent pullfailure.CredentialSent `json:"credentialSent"`
}

func verdictOf(v pullfailure.Verdict) verdict {
	candidates := v.Candidates
	if candidates == nil {
		candidates = []pullfailure.Cause{}
	}
	return verdict{
		Cause: v.Cause, Candidates: candidates, Repairable: v.Repairable(), Evidence: v.Evidence,
		HTTPStatus: v.HTTPStatus, Permission: v.Permission, CredentialSent: v.CredentialSent,
	}
}
