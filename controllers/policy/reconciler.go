// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package policy tells the platform team whether a PullAccessPolicy is in force, what it
// covers, what its limits hold back and whether the operator can read what it names,
// before the first pod fails.
//
// It is the only writer of a policy's status. It grants nothing.
package policy

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/controllers/outcome"
	"github.com/pull-access/pull-access-operator/internal/demand"
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

// +kubebuilder:rbac:groups="",resources=namespaces,verbs=list;watch
// +kubebuilder:rbac:groups=pullaccess.dev,resources=pullaccesspolicies,verbs=list;watch
// +kubebuilder:rbac:groups=pullaccess.dev,resources=pullaccesspolicies/status,verbs=patch
// +kubebuilder:rbac:groups=pullaccess.dev,resources=pullaccessgrants,verbs=list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconciler reconciles PullAccessPolicies: their status.
type Reconciler struct {
	// Client reads from the caches: policies, grants and the metadata of namespaces.
	Client   client.Client
	Cloud    Cloud
	Recorder events.Recorder
	Clock    clock.PassiveClock
	// Ledger counts what the policies' limits are about.
	Ledger *limit.Ledger
	// Demand has what failing pods need now.
	Demand *demand.Store

	accounts *accounts
	waker    *waker
}

// New completes a reconciler.
func New(r Reconciler) *Reconciler {
	r.accounts, r.waker = newAccounts(), &waker{}
	r.Ledger.Watch(r.waker.wake)
	r.Demand.Watch(func(need demand.Need) {
		r.accounts.add(need.Member)
		if !grants(need.Mode) {
			r.waker.wake(need.Policy)
		}
	})
	return &r
}

// grants tells whether the operator grants access in the mode. Every other mode is DryRun.
func grants(mode v1alpha1.PolicyMode) bool {
	return mode == v1alpha1.ModeEnforce || mode == v1alpha1.ModeApprove
}

const (
	// publishAfter is the delay before the status shows changes of the ledger, of demand
	// and of namespaces. Each status is written at most once in this time.
	publishAfter = time.Second
	// unreachableAgain is the delay before a retry if Google does not answer, unless Retry-After is longer.
	unreachableAgain = time.Minute
	// troubleAgain is when other trouble, which people have to end, is looked at again.
	troubleAgain = 10 * time.Minute
)

// Reconcile derives the policy's status from its spec, the ledger, demand and what can be
// read.
func (r *Reconciler) Reconcile(ctx context.Context, policy *v1alpha1.PullAccessPolicy) (reconcile.Result, error) {
	before := policy.DeepCopy()
	access := r.observeCloud(ctx, policy)
	covered, err := r.gatherCoverage(ctx, policy)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("gather: %w", err)
	}
	again := sooner(access.again, r.publishLimits(policy))
	r.setWouldGrant(policy)
	policy.Status.ObservedGeneration = policy.Generation
	policy.Status.Coverage = coverage(access, covered)
	policy.Status.UnreadableRepositories = access.unreadable
	limits := decideLimits(policy)
	setCondition(policy, v1alpha1.ConditionCloudAccess, access.condition())
	setCondition(policy, v1alpha1.ConditionWithinLimits, limits)
	setCondition(policy, v1alpha1.ConditionReady, decideReady(policy, access, covered, limits))
	if err := outcome.PatchStatus(ctx, r.Client, before, policy); err != nil {
		return outcome.Of(reconcile.Result{}, err)
	}
	r.emit(ctx, before, policy)
	return reconcile.Result{RequeueAfter: again}, nil
}

// publishLimits copies the ledger's counts into the status, and returns when the next limit
// resets; 0 if none is reached.
func (r *Reconciler) publishLimits(policy *v1alpha1.PullAccessPolicy) time.Duration {
	if !r.Ledger.Seeded() {
		return publishAfter // The status is what the ledger is seeded from.
	}
	now := r.Clock.Now()
	status, resets := r.Ledger.Status(limit.KeyOf(policy), limit.LimitsOf(policy.Spec.Limits), now)
	policy.Status.Limits = status
	if resets.IsZero() {
		return 0
	}
	return resets.Sub(now)
}

// sooner returns the shorter of two delays; 0 means never.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// decideLimits names the limit that holds something back for longest.
func decideLimits(policy *v1alpha1.PullAccessPolicy) metav1.Condition {
	if len(policy.Status.Limits.Reached) == 0 {
		return metav1.Condition{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonWithinLimits, Message: message.WithinLimits}
	}
	last := policy.Status.Limits.Reached[0]
	return metav1.Condition{
		Status: metav1.ConditionFalse, Reason: string(last.Limit),
		Message: limit.Sentence(policy.Name, limit.LimitsOf(policy.Spec.Limits), last),
	}
}

// decideReady summarizes the other conditions and names the worst.
func decideReady(policy *v1alpha1.PullAccessPolicy, access access, covered covered, limits metav1.Condition) metav1.Condition {
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
	case covered.namespaces == 0:
		return metav1.Condition{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNoNamespaceSelected, Message: message.NoNamespaceSelected}
	case limits.Status != metav1.ConditionTrue:
		return limits
	case !access.fine():
		return access.ready()
	case policy.Spec.Mode == v1alpha1.ModeApprove:
		return metav1.Condition{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonApprove, Message: message.PolicyAsks}
	case policy.Spec.Mode == v1alpha1.ModeEnforce:
		return metav1.Condition{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonEnforcing, Message: message.PolicyGrants}
	default:
		return metav1.Condition{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonDryRun, Message: message.PolicyDryRun(wouldGrants(policy))}
	}
}

func setCondition(policy *v1alpha1.PullAccessPolicy, conditionType string, c metav1.Condition) {
	c.Type, c.ObservedGeneration = conditionType, policy.Generation
	meta.SetStatusCondition(&policy.Status.Conditions, c)
}

// emit reports a new reason of Ready, if it is bad news.
func (r *Reconciler) emit(ctx context.Context, before, policy *v1alpha1.PullAccessPolicy) {
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
