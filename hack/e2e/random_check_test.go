// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster && faults

package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

const (
	// restPatience bounds how long all may take to come to rest. What was read from the cloud is kept for half a minute.
	restPatience = 90 * time.Second
	// writesPerStep bounds how often the operator tries to write, on average.
	writesPerStep = 8
)

// check wants what must hold after every step, whatever the operator is in the middle of.
func (r *randomRun) check(rt *rapid.T) {
	err := errors.Join(r.wantAlive(), r.wantNoViolations(), r.wantFewWrites(), r.wantRecords(), r.restartsRecorded())
	for _, p := range r.places {
		err = errors.Join(err, r.cloudHolds(p))
	}
	r.must(rt, err)
}

// wantAlive wants the operator not to have ended by itself.
func (r *randomRun) wantAlive() error {
	if r.operator == nil {
		return nil
	}
	return r.operator.Exited()
}

// wantNoViolations wants nothing to have been seen in the operator's writes as they came.
func (r *randomRun) wantNoViolations() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.violations) == 0 {
		return nil
	}
	return errors.New(strings.Join(r.violations, "\n"))
}

// wantFewWrites bounds how often the operator has tried to write.
func (r *randomRun) wantFewWrites() error {
	r.front.mu.Lock()
	defer r.front.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if most := writesPerStep * (len(r.steps) + 2*randomPlaces); r.writes > most {
		return fmt.Errorf("the operator has tried to write %d times, want %d at most", r.writes, most)
	}
	return nil
}

// cloudHolds wants all that is not the operator's to be as others have left it, and each member of the operator's to be there
// once, and on record.
func (r *randomRun) cloudHolds(p *place) error {
	r.front.mu.Lock()
	policy, foreign := r.cloud.Policy(p.resource()), p.foreign
	r.front.mu.Unlock()
	if err := sameForeign(foreign, foreignPart(policy)); err != nil {
		return fmt.Errorf("at %s: what is not the operator's was changed: %w", p.repository.Name, err)
	}
	own := ownMembers(policy)
	for i, member := range own {
		if slices.Contains(own[:i], member) {
			return fmt.Errorf("at %s: %s is there twice", p.repository.Name, member)
		}
		if err := r.onRecord(p, member); err != nil {
			return err
		}
	}
	return nil
}

// onRecord wants a member that is in the policy to have a record. One that was just let go of is not in the policy when that
// is read again.
func (r *randomRun) onRecord(p *place, member string) error {
	who := pair{p.resource(), member}
	return r.soon(func() error {
		grant, err := grantOf(who, p)
		switch {
		case err != nil:
			return err
		case !slices.Contains(ownMembers(r.cloud.Policy(who.resource)), member):
			return nil
		case grant == nil:
			return fmt.Errorf("at %s: %s is in the policy and no record is there", p.repository.Name, member)
		case !slices.Contains(grant.Finalizers, v1alpha1.Finalizer):
			return fmt.Errorf("at %s: %s is in the policy and its record has no finalizer", p.repository.Name, member)
		}
		return nil
	})
}

// soon asks again for a moment: two things that are read one after the other are not of one time.
func (r *randomRun) soon(hold func() error) error {
	var last error
	err := wait.PollUntilContextTimeout(context.Background(), pollInterval, 3*time.Second, true, func(context.Context) (bool, error) {
		last = hold()
		return last == nil, nil
	})
	if err != nil {
		return last
	}
	return nil
}

// grants lists the run's records.
func (r *randomRun) grants() ([]v1alpha1.PullAccessGrant, error) {
	var list v1alpha1.PullAccessGrantList
	err := shared.client.List(context.Background(), &list)
	return slices.DeleteFunc(list.Items, func(g v1alpha1.PullAccessGrant) bool {
		return !slices.ContainsFunc(r.places, func(p *place) bool { return p.repository.Name == g.Spec.Repository.Name })
	}), err
}

// wantRecords wants one record a member and repository, and none that takes the operator's own member for somebody else's.
func (r *randomRun) wantRecords() error {
	grants, err := r.grants()
	known := map[string]bool{}
	for i := range grants {
		g := &grants[i]
		key := g.Spec.Repository.Name + " " + g.Spec.Member
		if known[key] {
			err = errors.Join(err, fmt.Errorf("%s has two records", key))
		}
		known[key] = true
		if g.Status.Origin == v1alpha1.OriginFound {
			err = errors.Join(err, fmt.Errorf("%s is on record as found, and nobody else has added it", key))
		}
	}
	return err
}

// restartsRecorded wants each restart of a workload to have been on record, with its time.
func (r *randomRun) restartsRecorded() error {
	var (
		deployments appsv1.DeploymentList
		sets        appsv1.ReplicaSetList
	)
	ours := client.MatchingLabels{runLabel: r.number}
	if err := errors.Join(shared.client.List(context.Background(), &deployments, ours), shared.client.List(context.Background(), &sets, ours)); err != nil {
		return err
	}
	for i := range deployments.Items {
		d := &deployments.Items[i]
		if err := r.restartRecorded(d.Namespace, d.Name, d.Spec.Template); err != nil {
			return err
		}
	}
	for i := range sets.Items {
		s := &sets.Items[i]
		if err := r.restartRecorded(s.Namespace, s.Labels["app"], s.Spec.Template); err != nil {
			return err
		}
	}
	return nil
}

func (r *randomRun) restartRecorded(namespace, name string, template corev1.PodTemplateSpec) error {
	at := template.Annotations[restartedAt]
	if at == "" {
		return nil
	}
	return r.soon(func() error {
		if !r.recorded(namespace, name, at) {
			return fmt.Errorf("%s/%s was restarted at %s, and no attempt of that time was ever on record", namespace, name, at)
		}
		return nil
	})
}

// awaitRest waits until the operator has nothing left to do. It runs, and the cloud has no fault.
func (r *randomRun) awaitRest() error {
	var last error
	err := wait.PollUntilContextTimeout(context.Background(), pollInterval, restPatience, true, func(context.Context) (bool, error) {
		last = r.atRest()
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("it never came to rest: %w", last)
	}
	return r.wantAlive()
}

// atRest tells what is still to be done, nil if nothing is.
func (r *randomRun) atRest() error {
	grants, err := r.grants()
	if err != nil {
		return err
	}
	for i := range grants {
		p := r.places[slices.IndexFunc(r.places, func(p *place) bool { return p.repository.Name == grants[i].Spec.Repository.Name })]
		if err := r.grantRests(p, &grants[i]); err != nil {
			return err
		}
	}
	for _, p := range r.places {
		pods, err := r.pods(p)
		if err != nil {
			return err
		}
		for i := range pods {
			if err := r.podRests(p, &pods[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// grantRests wants the record of a grant to agree with the cloud and with the policies.
func (r *randomRun) grantRests(p *place, g *v1alpha1.PullAccessGrant) error {
	who := pair{p.resource(), g.Spec.Member}
	account := strings.TrimPrefix(g.Spec.Member, "serviceAccount:")
	is := meta.FindStatusCondition(g.Status.Conditions, v1alpha1.ConditionGranted)
	ready := meta.FindStatusCondition(g.Status.Conditions, v1alpha1.ConditionReady)
	there := slices.Contains(ownMembers(r.cloud.Policy(who.resource)), who.member)
	granted := is != nil && is.Status == metav1.ConditionTrue
	switch {
	case g.DeletionTimestamp != nil, is == nil, ready != nil && ready.Reason == v1alpha1.ReasonCloudForbidden:
		return r.unfinished(g)
	case hasOpenIntent(*g):
		return fmt.Errorf("grant %s has an open intent", g.Name)
	case granted && !there && !r.taken(who), !granted && there:
		return fmt.Errorf("grant %s is Granted %s by %s, and that the member is in the policy is %v", g.Name, is.Status, is.Reason, there)
	case granted && !names(p.policy, p, account):
		return fmt.Errorf("grant %s is Granted, and no policy names it", g.Name)
	case granted && g.Status.Review != nil && g.Status.Review.Decision == v1alpha1.ReviewRevoked:
		return fmt.Errorf("grant %s is Granted, and a person has revoked it", g.Name)
	case granted, g.Status.EndedTime != nil:
		return nil
	}
	switch is.Reason {
	case v1alpha1.ReasonPolicyGone:
		return nil
	case string(v1alpha1.LimitGrants):
		if p.policy != nil && p.policy.Spec.Limits.MaxGrantsPerHour == 1 {
			return nil
		}
	case v1alpha1.ReasonWaitingForApproval:
		if p.policy != nil && p.policy.Spec.Mode == v1alpha1.ModeApprove && g.Status.Review == nil {
			return nil
		}
	}
	return r.unfinished(g)
}

func hasOpenIntent(g v1alpha1.PullAccessGrant) bool {
	return g.Status.Write != nil && g.Status.Write.EtagAfter == ""
}

// unfinished is for a grant that is still to be seen to. What Google has refused is tried again when a policy changes: that is
// what people who have mended it are told to do when they don't want to wait.
func (r *randomRun) unfinished(g *v1alpha1.PullAccessGrant) error {
	conditions := []string{}
	refused := false
	for _, c := range g.Status.Conditions {
		conditions = append(conditions, c.Type+" "+string(c.Status)+" by "+c.Reason)
		refused = refused || c.Reason == v1alpha1.ReasonCloudForbidden
	}
	err := fmt.Errorf("grant %s is unfinished: %s; deleted: %v", g.Name, strings.Join(conditions, ", "), g.DeletionTimestamp != nil)
	if refused {
		return errors.Join(err, r.wake())
	}
	return err
}

// wake changes a policy that concerns nobody.
func (r *randomRun) wake() error {
	name := "random-wake"
	var policy v1alpha1.PullAccessPolicy
	err := shared.client.Get(context.Background(), client.ObjectKey{Name: name}, &policy)
	if client.IgnoreNotFound(err) != nil {
		return err
	}
	if err != nil {
		nobody := r.places[0].site.policy()
		nobody.Name, nobody.Spec.NamespaceSelector = name, &metav1.LabelSelector{MatchLabels: map[string]string{"nobody": ""}}
		nobody.Spec.Repositories[0].Name = "nobody"
		return shared.client.Create(context.Background(), nobody)
	}
	before := policy.DeepCopy()
	policy.Spec.Restart.MaxAttempts = 1 + policy.Spec.Restart.MaxAttempts%5
	return shared.client.Patch(context.Background(), &policy, client.MergeFrom(before))
}

// podRests wants no pod to fail which a policy allows to be helped.
func (r *randomRun) podRests(p *place, pod *corev1.Pod) error {
	account := randomNodes[slices.IndexFunc(randomNodes, func(n node) bool { return n.name == pod.Spec.NodeName })].account
	who := pair{p.resource(), v1alpha1.ServiceAccountMember(account)}
	r.mu.Lock()
	allowed, gone := r.allows(p.policy, p, account), r.gone[who]
	r.mu.Unlock()
	if pod.DeletionTimestamp != nil || pod.Status.Phase != corev1.PodPending || !allowed || gone {
		return nil
	}
	grant, err := grantOf(who, p)
	if err == nil && grant != nil && is(grant, v1alpha1.ConditionGranted, metav1.ConditionFalse, string(v1alpha1.LimitGrants)) {
		return nil // grantRests has looked whether it may.
	}
	return errors.Join(err, fmt.Errorf("pod %s/%s cannot pull, and a policy allows its account to", pod.Namespace, pod.Name))
}

// end has all come to rest, takes everything away as people would, and wants nothing of the operator's to be left.
func (r *randomRun) end(rt *rapid.T) {
	r.note("the end")
	r.rest(rt)
	r.check(rt)
	ctx, ours := context.Background(), client.MatchingLabels{runLabel: r.number}
	for _, p := range r.places {
		r.must(rt, shared.client.DeleteAllOf(ctx, &appsv1.Deployment{}, client.InNamespace(p.namespace), ours,
			client.PropagationPolicy(metav1.DeletePropagationBackground)))
	}
	r.must(rt, shared.client.DeleteAllOf(ctx, &v1alpha1.PullAccessPolicy{}, ours))
	for _, p := range r.places {
		p.policy = nil
		for _, n := range randomNodes {
			r.must(rt, r.dropGrant(p, n.account))
		}
	}
	var left error
	err := wait.PollUntilContextTimeout(ctx, pollInterval, restPatience, true, func(context.Context) (bool, error) {
		grants, err := r.grants()
		left = err
		if len(grants) > 0 {
			left = errors.Join(err, r.unfinished(&grants[0]))
		}
		return left == nil, nil
	})
	if err != nil {
		r.must(rt, fmt.Errorf("a record never went: %w", left))
	}
	for _, p := range r.places {
		if own := ownMembers(r.cloud.Policy(p.resource())); len(own) > 0 {
			r.must(rt, fmt.Errorf("at %s all was taken back, and %v are left", p.repository.Name, own))
		}
	}
	r.check(rt)
	r.unclean = false
}
