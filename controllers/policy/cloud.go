// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/message"
)

// access is what came of reading the repositories that a policy names without a wildcard.
type access struct {
	// listed is their number.
	listed     int
	unreadable []v1alpha1.UnreadableRepository
	// worst is the place in unreadable of the one that the conditions name: one that
	// waiting does not help comes before one that Google did not answer for.
	worst int
	// again is when to read them again; 0 if all can be read.
	again time.Duration
}

func (a access) fine() bool { return len(a.unreadable) == 0 }

// condition returns the condition CloudAccess.
func (a access) condition() metav1.Condition {
	switch {
	case !a.fine():
		return metav1.Condition{Status: metav1.ConditionFalse, Reason: a.unreadable[a.worst].Reason, Message: a.sentence()}
	case a.listed == 0:
		return metav1.Condition{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonOnlyWildcards, Message: message.OnlyWildcards}
	default:
		return metav1.Condition{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonRepositoriesReadable, Message: message.RepositoriesRead(a.listed)}
	}
}

// ready returns the condition Ready of a policy with unreadable repositories. It is Unknown
// while Google does not answer, because the policy may work.
func (a access) ready() metav1.Condition {
	c := a.condition()
	if c.Reason == v1alpha1.ReasonCloudUnreachable {
		c.Status = metav1.ConditionUnknown
	}
	return c
}

func (a access) sentence() string {
	return message.RepositoriesUnreadable(len(a.unreadable), a.listed, a.unreadable[a.worst].Message)
}

// observeCloud reads every repository that the policy names without a wildcard.
func (r *Reconciler) observeCloud(ctx context.Context, policy *v1alpha1.PullAccessPolicy) access {
	var all access
	for _, pattern := range policy.Spec.Repositories {
		if strings.Contains(pattern.Location+pattern.Name, "*") {
			continue
		}
		all.listed++
		repository := imageref.Repository{Project: pattern.Project, Location: pattern.Location, Name: pattern.Name}
		trouble, again, met := decideTrouble(repository, r.Cloud.Repository(ctx, repository))
		if !met {
			continue
		}
		all.again = sooner(all.again, again)
		if len(all.unreadable) == v1alpha1.MaxUnreadableRepositories {
			continue
		}
		all.unreadable = append(all.unreadable, trouble)
		if all.unreadable[all.worst].Reason == v1alpha1.ReasonCloudUnreachable && trouble.Reason != v1alpha1.ReasonCloudUnreachable {
			all.worst = len(all.unreadable) - 1
		}
	}
	return all
}

// decideTrouble says why a repository cannot be read, what to do, and when to read it again.
func decideTrouble(repository imageref.Repository, fact diagnosis.Repository) (trouble v1alpha1.UnreadableRepository, again time.Duration, met bool) {
	trouble = v1alpha1.UnreadableRepository{
		Repository: repository.Record(), Reason: v1alpha1.ReasonRepositoryUnreadable,
		Message: bounded(diagnosis.ExplainRepository(repository, fact)+fact.Obstacle.Note(), maxMessage),
	}
	again = troubleAgain
	switch {
	case fact.State == diagnosis.Present:
		return v1alpha1.UnreadableRepository{}, 0, false
	case fact.State == diagnosis.Missing:
		trouble.Reason = v1alpha1.ReasonRepositoryNotFound
	case fact.Obstacle.Refused():
		trouble.Reason = v1alpha1.ReasonCloudForbidden
	case fact.Obstacle.Kind == diagnosis.Unavailable:
		trouble.Reason, again = v1alpha1.ReasonCloudUnreachable, max(unreachableAgain, fact.Obstacle.RetryAfter)
	}
	return trouble, again, true
}

// maxMessage and maxImage are the lengths that the schema has, in bytes.
const maxMessage, maxImage = 1024, 512

// bounded cuts a text to the length that the schema has.
func bounded(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-len("…")], "") + "…"
}
