// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/explanation"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

// errTaken says that an object which is not the grant has the grant's name.
var errTaken = errors.New("a PullAccessGrant of that name records another grant")

// request makes sure that the grant is on record and that the pod's workload waits
// for it. Both writes find their work done when they come a second time.
func (r *Reconciler) request(ctx context.Context, pod *corev1.Pod, failure pullfailure.Failure, d diagnosis.Diagnosis, grant *decision.Grant,
	owner v1alpha1.Workload,
) (full bool, err error) {
	if err := r.ensureGrant(ctx, grant, d, owner); err != nil {
		return false, err
	}
	_, err = r.Grants.Change(ctx, r.Client, grant.Name(), func(object *v1alpha1.PullAccessGrant) error {
		switch {
		case imageref.Of(object.Spec.Repository) != grant.Repository() || !iampolicy.SameMember(object.Spec.Member, grant.Member()):
			return fmt.Errorf("grant %s: %w", object.Name, errTaken)
		case !grantstatus.Bound(object):
			full = true // The grant controller discards the status first.
			return nil
		case grantstatus.RevokedByPerson(object) && !grantstatus.Ended(object), grantstatus.Refused(object) != "":
			r.explain(ctx, pod, failure, explanation.Input{Diagnosis: d, Grant: grant, Record: object})
			return nil // The grant is about to end.
		case withdrawn(object, d) || outranked(object, grant):
			if grantstatus.Granted(object) {
				grantstatus.End(object, v1alpha1.EndRemovedByOwner, r.Clock.Now())
			}
			grantstatus.Reopen(object, owner, grant.Policy(), r.Clock.Now())
			return nil
		case closed(object) && !grantstatus.MayReopen(object, pod.CreationTimestamp.Time):
			r.explain(ctx, pod, failure, explanation.Input{Diagnosis: d, Grant: grant, Record: object})
			return nil
		}
		// The Event comes first: joining may reopen a grant that was carried out meanwhile.
		r.explain(ctx, pod, failure, explanation.Input{Diagnosis: d, Grant: grant, Record: object})
		full, err = r.join(ctx, object, owner, grant.Policy())
		return err
	})
	return full, err
}

// withdrawn tells whether the record says that the member was found there, and it is
// there no more: nobody owes the pod what was not the operator's, so it asks anew.
func withdrawn(g *v1alpha1.PullAccessGrant, d diagnosis.Diagnosis) bool {
	return grantstatus.Granted(g) && g.Status.Origin == v1alpha1.OriginFound && g.DeletionTimestamp == nil &&
		!grantstatus.RevokedByPerson(g) && d.Reason == diagnosis.AccessMissing
}

// outranked tells whether the record waits for a person, and another policy allows the
// grant without one.
func outranked(g *v1alpha1.PullAccessGrant, grant *decision.Grant) bool {
	return grant.Mode() == v1alpha1.ModeEnforce && g.Status.Proposal != nil && g.Status.Review == nil && g.DeletionTimestamp == nil &&
		!grantstatus.Granted(g) && !grantstatus.Ended(g) && grantstatus.PolicyName(g) != grant.Policy()
}

// closed tells whether nothing is going to be written for the record as it is.
func closed(g *v1alpha1.PullAccessGrant) bool {
	reason := grantstatus.Reason(g)
	return g.DeletionTimestamp == nil && reason != "" && (grantstatus.Ended(g) || reason == v1alpha1.ReasonPolicyGone)
}

// ensureGrant makes the grant's record if there is none. It carries its finalizer from
// the start, so that no grant can vanish with access left behind.
func (r *Reconciler) ensureGrant(ctx context.Context, grant *decision.Grant, d diagnosis.Diagnosis, owner v1alpha1.Workload) error {
	// Nearly always it is there, and nobody has to wait for the turn.
	if _, err := r.Grants.Read(ctx, r.Client, grant.Name()); !apierrors.IsNotFound(err) {
		return err
	}
	defer r.Grants.Take(grant.Name())()
	if _, err := r.Grants.Read(ctx, r.Client, grant.Name()); !apierrors.IsNotFound(err) {
		return err
	}
	want := &v1alpha1.PullAccessGrant{
		ObjectMeta: metav1.ObjectMeta{Name: grant.Name(), Finalizers: []string{v1alpha1.Finalizer}},
		Spec: v1alpha1.PullAccessGrantSpec{
			Repository: grant.Repository().Record(),
			Member:     grant.Member(),
			Policy:     grant.Policy(),
			Workload:   owner,
			Evidence:   cut(d.Facts.Cause.Evidence),
			Unknowns:   unknowns(d),
		},
	}
	log.FromContext(ctx).Info("Creating grant", "PullAccessGrant", klog.KObj(want),
		"repository", grant.Repository().String(), "member", grant.Member(), "policy", grant.Policy())
	if err := r.Client.Create(ctx, want); err != nil {
		return fmt.Errorf("create grant %s: %w", want.Name, err)
	}
	r.Grants.Made(want)
	return nil
}

// unknowns are those of the diagnosis, within the bounds of the kind.
func unknowns(d diagnosis.Diagnosis) []string {
	var list []string
	for _, unknown := range d.Unknowns[:min(len(d.Unknowns), v1alpha1.MaxUnknowns)] {
		list = append(list, cut(unknown))
	}
	return list
}

// cut bounds what is put on record of outside text.
func cut(text string) string {
	if len(text) <= v1alpha1.MaxEvidence {
		return text
	}
	return strings.ToValidUTF8(text[:v1alpha1.MaxEvidence], "")
}

// join puts the workload on the grant's record, unless that is full.
func (r *Reconciler) join(ctx context.Context, grant *v1alpha1.PullAccessGrant, owner v1alpha1.Workload, policy string) (full bool, _ error) {
	if closed(grant) {
		grantstatus.Reopen(grant, owner, policy, r.Clock.Now())
		return false, nil
	}
	// The first workload is put on record together with the intent to write.
	first := grantstatus.Same(grant.Spec.Workload, owner) && !grantstatus.Granted(grant)
	if first || grant.DeletionTimestamp != nil {
		return false, nil
	}
	changed, joined := grantstatus.Join(grant, owner, policy, r.Clock.Now())
	if !changed {
		return !joined, nil
	}
	log.FromContext(ctx).V(1).Info("Recording workload", "PullAccessGrant", klog.KObj(grant), "kind", owner.Kind,
		"workload", klog.KRef(owner.Namespace, owner.Name))
	return false, r.lengthen(ctx, grant, policy)
}

// lengthen has a grant that is written last as long as a further policy wants it to.
func (r *Reconciler) lengthen(ctx context.Context, grant *v1alpha1.PullAccessGrant, policy string) error {
	if !grantstatus.Granted(grant) || slices.Contains(grant.Status.Lifetime.Policies, policy) {
		return nil // What is not written yet gets its bounds when it is.
	}
	var found v1alpha1.PullAccessPolicy
	if err := r.Client.Get(ctx, client.ObjectKey{Name: policy}, &found); err != nil {
		return fmt.Errorf("read policy %s: %w", policy, err)
	}
	grantstatus.Lengthen(grant, policy, found.Spec.Grant, r.Clock.Now())
	return nil
}
