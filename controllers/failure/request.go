// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package failure

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
	"github.com/pull-access/pull-access-operator/controllers/outcome"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/events"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/metrics"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
	"github.com/pull-access/pull-access-operator/internal/record"
)

// errTaken says that an object which is not the grant has the grant's name.
var errTaken = errors.New("a PullAccessGrant of that name records another grant")

// request makes sure that the grant is on record and that the pod's workload waits
// for it. Both writes find their work done when they come a second time.
func (r *Reconciler) request(ctx context.Context, pod *corev1.Pod, failure pullfailure.Failure, d diagnosis.Diagnosis, grant *decision.Grant) (full bool, _ error) {
	owner, err := r.Owners.Of(ctx, pod)
	if err != nil {
		return false, fmt.Errorf("find owner: %w", err)
	}
	defer r.turns.Take(grant.Name())()
	object, err := r.ensureGrant(ctx, grant, d, owner)
	if err != nil {
		return false, err
	}
	if withdrawn(object, d) || outranked(object, grant) {
		return false, r.patch(ctx, object, func() {
			if record.Granted(object) {
				record.End(object, v1alpha1.EndWithdrawn, r.Clock.Now())
			}
			record.Reopen(object, owner, grant.Policy(), r.Clock.Now())
		})
	}
	if closed(object) && !record.MayReopen(object, pod.CreationTimestamp.Time) {
		r.explainEnd(ctx, pod, failure, object, d)
		return false, nil
	}
	r.tell(pod, failure, object, grant)
	return r.ensureJoined(ctx, object, owner, grant.Policy())
}

// withdrawn tells whether the record says that the member was found there, and it is
// there no more: nobody owes the pod what was not the operator's, so it asks anew.
func withdrawn(g *v1alpha1.PullAccessGrant, d diagnosis.Diagnosis) bool {
	return record.Granted(g) && g.Status.Origin == v1alpha1.OriginFound && g.DeletionTimestamp == nil &&
		!record.RevokedByPerson(g) && d.Reason == diagnosis.AccessMissing
}

// outranked tells whether the record waits for a person, and another policy allows the
// grant without one.
func outranked(g *v1alpha1.PullAccessGrant, grant *decision.Grant) bool {
	return grant.Mode() == v1alpha1.ModeEnforce && g.Status.Proposal != nil && g.Status.Review == nil && g.DeletionTimestamp == nil &&
		!record.Granted(g) && !record.Ended(g) && record.PolicyName(g) != grant.Policy()
}

// closed tells whether nothing is going to be written for the record as it is.
func closed(g *v1alpha1.PullAccessGrant) bool {
	reason := record.Reason(g)
	return g.DeletionTimestamp == nil && reason != "" && (record.Ended(g) || reason == v1alpha1.ReasonPolicyGone)
}

// explainEnd says why a grant that has ended is not asked for again.
func (r *Reconciler) explainEnd(ctx context.Context, pod *corev1.Pod, failure pullfailure.Failure, g *v1alpha1.PullAccessGrant, d diagnosis.Diagnosis) {
	r.explain(ctx, pod, failure, d, &decision.Refusal{
		Reason: record.Reason(g), Sentence: record.Why(g), Policy: record.PolicyName(g), Command: "kubectl pullaccess grants " + g.Name,
	})
}

// tell says what the pod waits for. It comes before the workload is put on
// record: writing that may bring back a grant which has been carried out meanwhile.
func (r *Reconciler) tell(pod *corev1.Pod, failure pullfailure.Failure, object *v1alpha1.PullAccessGrant, grant *decision.Grant) {
	waits, asks := record.Granted(object), grant.Mode() == v1alpha1.ModeApprove
	if !r.memory.changed(pod, failure, fmt.Sprint(object.Name, waits, asks)) {
		return
	}
	switch {
	case waits:
		events.WaitingForAccess(r.Recorder, pod, object)
	case asks:
		events.WaitingForApproval(r.Recorder, pod, object, grant.Policy())
		metrics.Decision(metrics.OutcomeAsk, v1alpha1.ReasonWaitingForApproval)
	default:
		events.AccessRequested(r.Recorder, pod, object, grant.Policy())
		metrics.Decision(metrics.OutcomeGrant, v1alpha1.ReasonPolicyEnforces)
	}
}

// ensureGrant returns the grant's record, making it if there is none. It carries
// its finalizer from the start, so that no grant can vanish with access left behind.
func (r *Reconciler) ensureGrant(ctx context.Context, grant *decision.Grant, d diagnosis.Diagnosis, owner v1alpha1.Workload) (*v1alpha1.PullAccessGrant, error) {
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
	found, err := r.turns.Read(ctx, r.Client, want.Name)
	if apierrors.IsNotFound(err) {
		log.FromContext(ctx).Info("Creating grant", "PullAccessGrant", klog.KObj(want),
			"repository", grant.Repository().String(), "member", grant.Member(), "policy", grant.Policy())
		if err := r.Client.Create(ctx, want); err != nil {
			return nil, fmt.Errorf("create grant %s: %w", want.Name, err)
		}
		r.turns.Wrote(want)
		return want, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read grant %s: %w", want.Name, err)
	}
	if found.Spec.Repository != want.Spec.Repository || !iampolicy.SameMember(found.Spec.Member, want.Spec.Member) {
		return nil, fmt.Errorf("grant %s: %w", want.Name, errTaken)
	}
	return found, nil
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

// ensureJoined puts the workload on the grant's record, unless that is full.
func (r *Reconciler) ensureJoined(ctx context.Context, grant *v1alpha1.PullAccessGrant, owner v1alpha1.Workload, policy string) (full bool, _ error) {
	if closed(grant) {
		return false, r.patch(ctx, grant, func() { record.Reopen(grant, owner, policy, r.Clock.Now()) })
	}
	// The first workload is put on record together with the intent to write.
	first := record.Same(grant.Spec.Workload, owner) && !record.Granted(grant)
	if first || grant.DeletionTimestamp != nil {
		return false, nil
	}
	before := grant.DeepCopy()
	changed, joined := record.Join(grant, owner, policy, r.Clock.Now())
	if !changed {
		return !joined, nil
	}
	if err := r.lengthen(ctx, before, grant, policy); err != nil {
		return false, err
	}
	log.FromContext(ctx).V(1).Info("Recording workload", "PullAccessGrant", klog.KObj(grant), "kind", owner.Kind,
		"workload", klog.KRef(owner.Namespace, owner.Name))
	return false, r.write(ctx, before, grant)
}

// patch changes the grant's status and writes what that changed.
func (r *Reconciler) patch(ctx context.Context, g *v1alpha1.PullAccessGrant, change func()) error {
	before := g.DeepCopy()
	change()
	return r.write(ctx, before, g)
}

// write writes what differs, for the next pass to go by.
func (r *Reconciler) write(ctx context.Context, before, after *v1alpha1.PullAccessGrant) error {
	if err := outcome.PatchStatus(ctx, r.Client, before, after); err != nil {
		return err
	}
	r.turns.Wrote(after)
	return nil
}

// lengthen has a grant that is written last as long as a further policy wants it to.
func (r *Reconciler) lengthen(ctx context.Context, before, grant *v1alpha1.PullAccessGrant, policy string) error {
	if !record.Granted(grant) || slices.Contains(before.Status.Lifetime.Policies, policy) {
		return nil // What is not written yet gets its bounds when it is.
	}
	var found v1alpha1.PullAccessPolicy
	if err := r.Client.Get(ctx, client.ObjectKey{Name: policy}, &found); err != nil {
		return fmt.Errorf("read policy %s: %w", policy, err)
	}
	record.Lengthen(grant, policy, found.Spec.Grant, r.Clock.Now())
	return nil
}
