// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpemulator

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"strconv"
	"strings"
)

// Blockage is why a project's Artifact Registry serves nobody, whatever IAM says.
type Blockage int

const (
	// APIDisabled means that the project has not enabled the API.
	APIDisabled Blockage = iota + 1
	// BillingDisabled means that the project pays from no billing account.
	BillingDisabled
	// Perimeter means that VPC Service Controls keep the caller out.
	Perimeter
)

const serviceArtifacts = "artifactregistry.googleapis.com"

// Block makes Artifact Registry refuse all that is asked of a project, in place
// of a blockage that it already has.
func (e *Emulator) Block(project string, why Blockage) {
	e.state.mu.Lock()
	defer e.state.mu.Unlock()
	e.state.blocks[project] = why
}

// Unblock takes Block back.
func (e *Emulator) Unblock(project string) {
	e.state.mu.Lock()
	defer e.state.mu.Unlock()
	delete(e.state.blocks, project)
}

func (s *state) blockage(project string) Blockage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.blocks[project]
}

// projectNumber is 0 for a project that was not made.
func (s *state) projectNumber(project string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.projects[project]
}

// blocked is how Artifact Registry refuses a blocked project; nil if it is not.
// The code is left to who writes the answer: the registry has words of its own.
func (s *state) blocked(project string) *refusal {
	number := strconv.FormatInt(s.projectNumber(project), 10)
	metadata := map[string]string{"consumer": "projects/" + number, "service": serviceArtifacts}
	r := &refusal{http: http.StatusForbidden}
	switch s.blockage(project) {
	case APIDisabled:
		page := "https://console.developers.google.com/apis/api/" + serviceArtifacts + "/overview?project=" + number
		r.message = fmt.Sprintf("Artifact Registry API has not been used in project %s before or it is disabled. "+
			"Enable it by visiting %s then retry. If you enabled this API recently, "+
			"wait a few minutes for the action to propagate to our systems and retry.", number, page)
		metadata["activationUrl"] = page
		r.details = []any{errorInfo("SERVICE_DISABLED", "googleapis.com", metadata)}
	case BillingDisabled:
		r.message = fmt.Sprintf("This API method requires billing to be enabled. Please enable billing on project #%s "+
			"by visiting https://console.developers.google.com/billing/enable?project=%s then retry. "+
			"If you enabled billing for this project recently, "+
			"wait a few minutes for the action to propagate to our systems and retry.", number, number)
		r.details = []any{errorInfo("BILLING_DISABLED", "googleapis.com", metadata)}
	case Perimeter:
		id := perimeterID(project)
		r.message = "Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: " + id
		metadata["uid"] = id
		r.details = []any{
			map[string]any{
				"@type":      "type.googleapis.com/google.rpc.PreconditionFailure",
				"violations": []map[string]string{{"type": "VPC_SERVICE_CONTROLS", "description": id}},
			},
			errorInfo("SECURITY_POLICY_VIOLATED", "googleapis.com", metadata),
		}
	default:
		return nil
	}
	return r
}

// perimeterID looks like the identifier by which the denial is found in the logs.
func perimeterID(project string) string {
	sum := fnv.New128a()
	_, _ = sum.Write([]byte(project))
	return fmt.Sprintf("%x", sum.Sum(nil))
}

// blockedAt is blocked by the resource name of what is asked for.
func (s *state) blockedAt(resource string) *refusal {
	return s.blocked(strings.TrimPrefix(projectOf(resource), "projects/"))
}
