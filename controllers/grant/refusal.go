// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"errors"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/message"
)

// refusal is what the condition Granted says when a grant was not written.
// Status Unknown means that it is tried again by itself.
type refusal struct {
	reason   string
	status   metav1.ConditionStatus
	sentence string
}

// unreadable refuses a repository that was not found to be there: what it is
// must be known before it is opened.
func unreadable(repository imageref.Repository, fact diagnosis.Repository) refusal {
	refused := refusal{v1alpha1.ReasonRepositoryUnreadable, metav1.ConditionFalse, diagnosis.ExplainRepository(repository, fact) + everySoOften + fact.Obstacle.Note()}
	switch {
	case fact.State == diagnosis.Missing:
		refused.reason = v1alpha1.ReasonRepositoryNotFound
	case fact.Obstacle.Refused():
		refused.reason = v1alpha1.ReasonCloudForbidden
	case fact.Obstacle.Kind == diagnosis.Unavailable:
		refused.reason, refused.status = v1alpha1.ReasonCloudUnreachable, metav1.ConditionUnknown
	}
	return refused
}

// everySoOften ends the sentence of a refusal that people have to end.
var everySoOften = message.RetriesEvery(recheckAfter)

// describe turns an error of the cloud into the condition's reason and the next
// step for people. What it does not know may have taken effect, and is tried again.
func describe(err error, repository imageref.Repository) refusal {
	var missing *iampolicy.MissingMemberError
	switch {
	case errors.As(err, &missing):
		return refusal{v1alpha1.ReasonAccountNotFound, metav1.ConditionFalse, message.AccountNotFound(account(missing.Member)) + everySoOften}
	case errors.Is(err, iampolicy.ErrForbidden):
		return refusal{v1alpha1.ReasonCloudForbidden, metav1.ConditionFalse, forbidden(err, repository)}
	case errors.Is(err, iampolicy.ErrOrgPolicy):
		return refusal{v1alpha1.ReasonOrganizationPolicy, metav1.ConditionFalse, message.OrganizationPolicy(repository) + everySoOften}
	case errors.Is(err, iampolicy.ErrNotFound):
		return refusal{v1alpha1.ReasonRepositoryNotFound, metav1.ConditionFalse, message.RepositoryNotFound(repository) + everySoOften}
	case errors.Is(err, iampolicy.ErrTooManyPrincipals):
		return refusal{v1alpha1.ReasonTooManyPrincipals, metav1.ConditionFalse, message.TooManyPrincipals(repository, iampolicy.MaxPrincipals) + everySoOften}
	case errors.Is(err, iampolicy.ErrConflict):
		return refusal{v1alpha1.ReasonConflict, metav1.ConditionUnknown, message.IAMPolicyConflict(repository)}
	case errors.Is(err, iampolicy.ErrInvalid), errors.Is(err, iampolicy.ErrGuard), errors.Is(err, iampolicy.ErrMember), errors.Is(err, iampolicy.ErrNoPolicy):
		return refusal{v1alpha1.ReasonWriteRefused, metav1.ConditionFalse, message.IAMPolicyUnchanged(repository, detail(err)) + everySoOften}
	default:
		return refusal{v1alpha1.ReasonCloudUnreachable, metav1.ConditionUnknown, message.IAMPolicyUnreachable(repository, detail(err))}
	}
}

// forbidden explains the denial and the next step. It suggests permissions only if Google
// reports a missing permission.
func forbidden(err error, repository imageref.Repository) string {
	var google interface {
		LacksPermission() bool
		Obstacle() diagnosis.Obstacle
	}
	if errors.As(err, &google) && !google.LacksPermission() {
		return diagnosis.ExplainIAMPolicy(repository, google.Obstacle()) + everySoOften + google.Obstacle().Note()
	}
	return message.IAMPolicyForbidden(repository, detail(err)) + everySoOften
}

func account(member string) string {
	email, _ := v1alpha1.EmailOf(member)
	return email
}

// detail is what Google said, where it was Google; else what went wrong.
func detail(err error) string {
	var said interface{ Detail() string }
	if errors.As(err, &said) {
		return said.Detail()
	}
	return err.Error()
}
