// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package message

import (
	"fmt"
	"strings"
	"time"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// Approved says that the operator is about to write an approved grant.
const Approved = "It was approved, and is about to be written."

// Proposed is the history's entry for a grant that waits for a review.
func Proposed(policy string, lapseTime time.Time) string {
	return fmt.Sprintf("Under policy %s; it lapses at %s.", policy, stamp(lapseTime))
}

// WaitingForReview says that the grant waits for a review, until when, and how to give it.
func WaitingForReview(grant string, lapseTime time.Time) string {
	return fmt.Sprintf("It waits until %s for a person (kubectl pullaccess approve %s, or kubectl pullaccess deny %s).", stamp(lapseTime), grant, grant)
}

// PolicyEnforces says that the policy allows the grant without a review.
func PolicyEnforces(policy string) string {
	return fmt.Sprintf("Policy %s is in mode Enforce.", policy)
}

// Reviewed says what a reviewer decided, who it was and why.
func Reviewed(decision v1alpha1.ReviewDecision, user, reason string) string {
	reason = strings.TrimRight(reason, ". ")
	if reason == "" {
		reason = "no reason was given"
	}
	return fmt.Sprintf("%s by %s: %s.", decision, user, reason)
}

// ReviewedByUnknown says what an unknown reviewer decided.
func ReviewedByUnknown(decision v1alpha1.ReviewDecision) string { return string(decision) + "." }
