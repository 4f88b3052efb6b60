// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package policy tells the platform team whether a PullAccessPolicy is in force,
// and whether the operator can read what it names, before the first pod fails.
//
// It reads and tells; it grants nothing.
package policy

import (
	"context"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/controllers/outcome"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/events"
	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/limit"
	"github.com/pull-access/pull-access-operator/internal/message"
)

// Cloud reads whether a repository is there.
type Cloud interface {
	// Repository never fails: what cannot be read is Unknown and says why.
	Repository(ctx context.Context, repository imageref.Repository) diagnosis.Repository
}

// +kubebuilder:rbac:groups=pullaccess.dev,resources=pullaccesspolicies,verbs=list;watch
// +kubebuilder:rbac:groups=pullaccess.dev,resources=pullaccesspolicies/status,verbs=patch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconciler reconciles PullAccessPolicies: their conditions.
type Reconciler struct {
	Client   client.Client
	Cloud    Cloud
	Recorder events.Recorder
	Clock    clock.PassiveClock
}

const (
	// unreachableAgain is the delay before a retry if Google does not answer, unless Retry-After is longer.
	unreachableAgain = time.Minute
	// troubleAgain is when other trouble, which people have to end, is looked at again.
	troubleAgain = 10 * time.Minute
)

// Reconcile sets the policy's conditions from what it says and what can be read.
func (r *Reconciler) Reconcile(ctx context.Context, policy *v1alpha1.PullAccessPolicy) (reconcile.Result, error) {
	before := policy.DeepCopy()
	now := r.Clock.Now()
	access := r.observeCloud(ctx, policy)
	resets := limit.Reset(&policy.Status.Limits, limit.LimitsOf(policy.Spec.Limits), now)
	limits := decideLimits(policy)
	if policy.Spec.Mode == v1alpha1.ModeEnforce || policy.Spec.Mode == v1alpha1.ModeApprove {
		policy.Status.WouldGrant = nil
	}
	policy.Status.ObservedGeneration = policy.Generation
	setCondition(policy, v1alpha1.ConditionCloudAccess, access.condition())
	setCondition(policy, v1alpha1.ConditionWithinLimits, limits)
	setCondition(policy, v1alpha1.ConditionReady, decideReady(policy, access, limits))
	if err := outcome.PatchStatus(ctx, r.Client, before, policy); err != nil {
		return outcome.Of(reconcile.Result{}, err)
	}
	r.tell(ctx, before, policy)
	again := access.again
	if until := resets.Sub(now); !resets.IsZero() && (again == 0 || until < again) {
		again = until
	}
	return reconcile.Result{RequeueAfter: again}, nil
}

// decideLimits names the limit that holds something back for longest.
func decideLimits(policy *v1alpha1.PullAccessPolicy) metav1.Condition {
	if len(policy.Status.Limits.Reached) == 0 {
		return metav1.Condition{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonWithinLimits, Message: message.WithinLimits}
	}
	last := policy.Status.Limits.Reached[0]
	return metav1.Condition{
		Status: metav1.ConditionFalse, Reason: string(last.Limit),
		Message: limit.Sentence(last.Limit, policy.Name, limit.LimitsOf(policy.Spec.Limits), last.ResetTime.Time),
	}
}

// access is the first trouble that was met when reading the named repositories, or that there was none.
type access struct {
	reason   string
	sentence string
	again    time.Duration
}

func (a access) fine() bool { return a.again == 0 }

func (a access) condition() metav1.Condition {
	status := metav1.ConditionTrue
	if !a.fine() {
		status = metav1.ConditionFalse
	}
	return metav1.Condition{Status: status, Reason: a.reason, Message: a.sentence}
}

func (r *Reconciler) observeCloud(ctx context.Context, policy *v1alpha1.PullAccessPolicy) access {
	read := 0
	for _, pattern := range policy.Spec.Repositories {
		if strings.Contains(pattern.Location+pattern.Name, "*") {
			continue
		}
		repository := imageref.Repository{Project: pattern.Project, Location: pattern.Location, Name: pattern.Name}
		if trouble, met := decideTrouble(repository, r.Cloud.Repository(ctx, repository)); met {
			return trouble
		}
		read++
	}
	if read == 0 {
		return access{reason: v1alpha1.ReasonOnlyWildcards, sentence: message.OnlyWildcards}
	}
	return access{reason: v1alpha1.ReasonRepositoriesReadable, sentence: message.RepositoriesRead(read)}
}

// decideTrouble says what keeps a repository from being read, and what to do.
func decideTrouble(repository imageref.Repository, fact diagnosis.Repository) (access, bool) {
	trouble := access{v1alpha1.ReasonRepositoryUnreadable, diagnosis.ExplainRepository(repository, fact) + fact.Obstacle.Note(), troubleAgain}
	switch {
	case fact.State == diagnosis.Present:
		return access{}, false
	case fact.State == diagnosis.Missing:
		trouble.reason = v1alpha1.ReasonRepositoryNotFound
	case fact.Obstacle.Refused():
		trouble.reason = v1alpha1.ReasonCloudForbidden
	case fact.Obstacle.Kind == diagnosis.Unavailable:
		trouble.reason, trouble.again = v1alpha1.ReasonCloudUnreachable, max(unreachableAgain, fact.Obstacle.RetryAfter)
	}
	return trouble, true
}

// decideReady summarises. A cloud that cannot be read does not put the policy out
// of force, but whether it will work is not known.
func decideReady(policy *v1alpha1.PullAccessPolicy, cloud access, limits metav1.Condition) metav1.Condition {
	for _, s := range []struct {
		field    string
		selector *metav1.LabelSelector
	}{
		{"spec.namespaceSelector", policy.Spec.NamespaceSelector},
		{"spec.podSelector", policy.Spec.PodSelector},
	} {
		if _, err := metav1.LabelSelectorAsSelector(s.selector); err != nil {
			return metav1.Condition{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonInvalidSelector, Message: message.InvalidSelector(s.field, err)}
		}
	}
	switch {
	case policy.Spec.Pause != nil:
		return metav1.Condition{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonPaused, Message: message.PolicyPaused(policy.Name, policy.Spec.Pause.Reason)}
	case limits.Status != metav1.ConditionTrue:
		return limits
	case !cloud.fine():
		return metav1.Condition{Status: metav1.ConditionUnknown, Reason: cloud.reason, Message: cloud.sentence}
	case policy.Spec.Mode == v1alpha1.ModeApprove:
		return metav1.Condition{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonApprove, Message: message.PolicyAsks}
	case policy.Spec.Mode == v1alpha1.ModeEnforce:
		return metav1.Condition{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonEnforcing, Message: message.PolicyGrants}
	default:
		return metav1.Condition{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonDryRun, Message: message.PolicyDryRun(len(policy.Status.WouldGrant))}
	}
}

func setCondition(policy *v1alpha1.PullAccessPolicy, conditionType string, c metav1.Condition) {
	c.Type, c.ObservedGeneration = conditionType, policy.Generation
	meta.SetStatusCondition(&policy.Status.Conditions, c)
}

// tell says when Ready has come to another reason, and it is bad news.
func (r *Reconciler) tell(ctx context.Context, before, policy *v1alpha1.PullAccessPolicy) {
	was := meta.FindStatusCondition(before.Status.Conditions, v1alpha1.ConditionReady)
	is := meta.FindStatusCondition(policy.Status.Conditions, v1alpha1.ConditionReady)
	if is == nil || was != nil && was.Reason == is.Reason {
		return
	}
	log.FromContext(ctx).V(1).Info("Recorded policy status", "PullAccessPolicy", klog.KObj(policy), "reason", is.Reason, "message", is.Message)
	if is.Status != metav1.ConditionTrue {
		events.PolicyTrouble(r.Recorder, policy, is.Reason, is.Message)
	}
}

// others passes the policies on whose status another controller has said something.
func others() predicate.Funcs {
	return predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, known := e.ObjectOld.(*v1alpha1.PullAccessPolicy)
			after, ok := e.ObjectNew.(*v1alpha1.PullAccessPolicy)
			return known && ok && (len(before.Status.WouldGrant) != len(after.Status.WouldGrant) ||
				!equality.Semantic.DeepEqual(before.Status.Limits.Reached, after.Status.Limits.Reached))
		},
	}
}

// SetupWithManager registers the reconciler; a change of the policy's spec wakes it,
// a limit that is reached, and what a policy in mode DryRun would have granted.
func (r *Reconciler) SetupWithManager(mgr manager.Manager) error {
	return builder.ControllerManagedBy(mgr).
		Named("policy").
		For(&v1alpha1.PullAccessPolicy{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, others()))).
		Complete(reconcile.AsReconciler(r.Client, r))
}
