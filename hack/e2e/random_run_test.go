// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster && faults

package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/decision"
)

// place is a site of a run, with a repository and a policy that no other run has.
type place struct {
	*site
	// policy is as it was last written, nil while there is none.
	policy *v1alpha1.PullAccessPolicy
	// foreign is what of the repository's policy is not the operator's, as others have left it.
	foreign []*iampb.Binding
	// budget is how many members all policies that the place has had allow to be added, added how many were.
	budget, added int
	deployments   int
}

// pair is a member on a repository, by its resource name.
type pair struct{ resource, member string }

// approval is what a person has said yes to.
type approval struct {
	uid        types.UID
	generation int64
}

// randomRun is one of the runs, and what it knows: whatever others than the operator have done.
type randomRun struct {
	*world
	number string
	places []*place

	mu sync.Mutex
	// steps are what was done so far.
	steps []string
	// may holds whom a policy allowed to be added at some time since the last barrier.
	may      map[pair]bool
	approved map[pair]approval
	// stands is where a person's no counts, gone where somebody else took the member out.
	stands, gone map[pair]bool
	violations   []string
	writes       int
}

func (r *randomRun) note(format string, arguments ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps = append(r.steps, fmt.Sprintf(format, arguments...))
}

func (r *randomRun) violate(format string, arguments ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.violations = append(r.violations, fmt.Sprintf(format, arguments...))
}

// tell prints, also when a later try does not fail again, what was done and what came of it.
func (r *randomRun) tell(err error) {
	r.mu.Lock()
	steps := strings.Join(r.steps, "\n")
	r.mu.Unlock()
	r.t.Logf("run %s: %v\nafter these steps:\n%s", r.number, err, steps)
	r.tellLog()
}

// at is the place of a repository; nil if it is not this run's.
func (r *randomRun) at(resource string) *place {
	i := slices.IndexFunc(r.places, func(p *place) bool { return p.resource() == resource })
	if i < 0 {
		return nil
	}
	return r.places[i]
}

func (r *randomRun) mayAdd(who pair) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.may[who]
}

func (r *randomRun) taken(who pair) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.gone[who]
}

func (r *randomRun) take(who pair, gone bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone[who] = gone
}

// names tells whether the policy lists the place's repository and the account.
func names(policy *v1alpha1.PullAccessPolicy, p *place, account string) bool {
	return policy != nil && policy.Spec.Repositories[0].Name == p.repository.Name && slices.Contains(policy.Spec.NodeServiceAccounts, account)
}

// allows tells whether the policy allows the account to be added by what people have said so far. It needs r.mu.
func (r *randomRun) allows(policy *v1alpha1.PullAccessPolicy, p *place, account string) bool {
	who := pair{p.resource(), v1alpha1.ServiceAccountMember(account)}
	if !names(policy, p, account) || policy.Spec.Pause != nil || r.stands[who] {
		return false
	}
	switch policy.Spec.Mode {
	case v1alpha1.ModeEnforce:
		return true
	case v1alpha1.ModeApprove:
		return r.approved[who] == approval{policy.UID, policy.Generation}
	default:
		return false
	}
}

// allow adds to those who may be added whom this policy allows. It comes before the policy is written.
func (r *randomRun) allow(p *place, policy *v1alpha1.PullAccessPolicy) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range randomNodes {
		if r.allows(policy, p, n.account) {
			r.may[pair{p.resource(), v1alpha1.ServiceAccountMember(n.account)}] = true
		}
	}
}

// barrier forgets what was allowed once. It comes when no operator runs, or none has anything to do: what is written from now
// on is written by what holds from now on.
func (r *randomRun) barrier() {
	r.mu.Lock()
	clear(r.may)
	r.mu.Unlock()
	for _, p := range r.places {
		r.allow(p, p.policy)
	}
}

func (r *randomRun) createDeployment(p *place, n node) error {
	p.deployments++
	name := "r" + r.number + "-" + strconv.Itoa(p.deployments)
	labels := map[string]string{runLabel: r.number, "app": name}
	return shared.client.Create(context.Background(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: name, Labels: labels},
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To[int32](1),
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: map[string]string{repositoryAnnotation: p.resource()}},
				Spec: corev1.PodSpec{
					NodeName:                      n.name,
					Tolerations:                   []corev1.Toleration{{Operator: corev1.TolerationOpExists}}, // No kubelet reports the node.
					TerminationGracePeriodSeconds: ptr.To[int64](0),
					AutomountServiceAccountToken:  ptr.To(false),
					Containers:                    []corev1.Container{{Name: "app", Image: p.image}},
				},
			},
		},
	})
}

// deletePod deletes one of the place's pods, so that its successor has to pull.
func (r *randomRun) deletePod(p *place) error {
	pods, err := r.pods(p)
	if err != nil || len(pods) == 0 {
		return err
	}
	return client.IgnoreNotFound(shared.client.Delete(context.Background(), &pods[0]))
}

func (r *randomRun) pods(p *place) ([]corev1.Pod, error) {
	var pods corev1.PodList
	err := shared.client.List(context.Background(), &pods, client.InNamespace(p.namespace), client.MatchingLabels{runLabel: r.number})
	return pods.Items, err
}

func (r *randomRun) createPolicy(p *place, mode v1alpha1.PolicyMode, grants int32) error {
	policy := p.site.policy()
	policy.Name = p.repository.Name
	policy.Labels = map[string]string{runLabel: r.number}
	policy.Spec.Mode = mode
	policy.Spec.NodeServiceAccounts = []string{randomNodes[0].account, randomNodes[1].account}
	policy.Spec.Grant.GracePeriod = delay(0)
	policy.Spec.Limits.MaxGrantsPerHour, policy.Spec.Limits.MaxRevocationsPerHour, policy.Spec.Limits.RestartCooldown = grants, 1000, delay(0)
	r.note("  %s, %d grants an hour", mode, grants)
	r.allow(p, policy)
	r.front.mu.Lock()
	p.budget += int(grants)
	r.front.mu.Unlock()
	err := shared.client.Create(context.Background(), policy)
	p.policy = policy
	return err
}

func (r *randomRun) editPolicy(rt *rapid.T, p *place, edit func(*v1alpha1.PullAccessPolicySpec)) error {
	if p.policy == nil {
		rt.SkipNow()
	}
	next := p.policy.DeepCopy()
	edit(&next.Spec)
	r.note("  %s, accounts %v, repository %s, paused %v", next.Spec.Mode, next.Spec.NodeServiceAccounts, next.Spec.Repositories[0].Name, next.Spec.Pause != nil)
	r.allow(p, next)
	err := shared.client.Patch(context.Background(), next, client.MergeFrom(p.policy))
	p.policy = next
	return err
}

func (r *randomRun) dropPolicy(p *place) error {
	err := shared.client.Delete(context.Background(), p.policy)
	p.policy = nil
	return err
}

// speak has a person answer a grant that waits, by yes, and take back one that does not.
func (r *randomRun) speak(p *place, account string, yes bool) error {
	who := pair{p.resource(), v1alpha1.ServiceAccountMember(account)}
	grant, err := grantOf(who, p)
	if grant == nil || grant.DeletionTimestamp != nil || grant.Status.EndedTime != nil || grant.Status.Review != nil {
		return err
	}
	word := v1alpha1.ReviewRevoked
	if waits(grant) {
		word = v1alpha1.ReviewDenied
	}
	if waits(grant) && yes {
		word = v1alpha1.ReviewApproved
		r.mu.Lock()
		r.approved[who] = approval{grant.Status.Proposal.PolicyUID, grant.Status.Proposal.PolicyGeneration}
		r.mu.Unlock()
		r.allow(p, p.policy)
	}
	before := grant.DeepCopy()
	grant.Status.Review = &v1alpha1.Review{Decision: word, User: "admin"}
	locked := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := shared.client.Status().Patch(context.Background(), grant, locked); err != nil {
		return ignoreLate(err) // The operator was faster.
	}
	r.note("  %s of %s", word, account)
	r.happened("= " + string(word))
	if word != v1alpha1.ReviewApproved {
		r.mu.Lock()
		r.stands[who] = true
		r.mu.Unlock()
	}
	return nil
}

// grantOf reads the record; nil if there is none.
func grantOf(who pair, p *place) (*v1alpha1.PullAccessGrant, error) {
	grant := &v1alpha1.PullAccessGrant{}
	err := shared.client.Get(context.Background(), client.ObjectKey{Name: decision.GrantName(p.repository, who.member)}, grant)
	if err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	return grant, nil
}

// dropGrant deletes a record, and with it what a person has said.
func (r *randomRun) dropGrant(p *place, account string) error {
	who := pair{p.resource(), v1alpha1.ServiceAccountMember(account)}
	grant, err := grantOf(who, p)
	if grant == nil {
		return err
	}
	r.mu.Lock()
	delete(r.stands, who)
	delete(r.approved, who)
	r.mu.Unlock()
	r.allow(p, p.policy)
	r.note("  that of %s", account)
	return client.IgnoreNotFound(shared.client.Delete(context.Background(), grant))
}

// touch writes all records and policies a few times, so that the operator meets versions that it has not read.
func (r *randomRun) touch() error {
	var grants v1alpha1.PullAccessGrantList
	var policies v1alpha1.PullAccessPolicyList
	ctx := context.Background()
	if err := errors.Join(shared.client.List(ctx, &grants), shared.client.List(ctx, &policies)); err != nil {
		return err
	}
	var errs []error
	for i := range 5 {
		patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"random":"`+strconv.Itoa(i)+`"}}}`))
		for j := range grants.Items {
			errs = append(errs, client.IgnoreNotFound(shared.client.Patch(ctx, &grants.Items[j], patch)))
		}
		for j := range policies.Items {
			errs = append(errs, client.IgnoreNotFound(shared.client.Patch(ctx, &policies.Items[j], patch)))
		}
	}
	return errors.Join(errs...)
}

// awaitSomething lets the operator come so far as is drawn, and bounds that: it may have nothing to do.
func (r *randomRun) awaitSomething(rt *rapid.T) {
	changes := rapid.SampledFrom([]int{0, 0, 1, 2, 4}).Draw(rt, "changes of grants until the next step")
	if r.operator == nil {
		return
	}
	bound := time.NewTimer(time.Duration(changes) * 150 * time.Millisecond)
	defer bound.Stop()
	for range changes {
		select {
		case <-r.change():
		case <-bound.C:
			return
		}
	}
}

func faultNames() []string { return slices.Sorted(maps.Keys(randomFaults)) }
