// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/hack/cluster"
)

// shopNamespace is the tenant's.
const shopNamespace = "shop"

// world is what the demo has seen so far, and it is shown as it is seen.
type world struct {
	say *printer
	// deployments and policies are the newest seen, by name.
	deployments map[string]*appsv1.Deployment
	policies    map[string]*v1alpha1.PullAccessPolicy
	grants      map[string]*v1alpha1.PullAccessGrant
	// events are the operator's.
	events []*eventsv1.Event
	// shown holds what was printed already and need not be again.
	shown map[string]bool
	// state is what was printed last of what changes.
	state map[string]string
}

func newWorld(p *printer) *world {
	return &world{
		say:         p,
		deployments: map[string]*appsv1.Deployment{},
		policies:    map[string]*v1alpha1.PullAccessPolicy{},
		grants:      map[string]*v1alpha1.PullAccessGrant{},
		shown:       map[string]bool{},
		state:       map[string]string{},
	}
}

// take keeps and shows one object that was made or has changed.
func (w *world) take(object runtime.Object) {
	switch o := object.(type) {
	case *corev1.Pod:
		w.takePod(o)
	case *appsv1.Deployment:
		w.takeDeployment(o)
	case *v1alpha1.PullAccessPolicy:
		w.policies[o.Name] = o
		w.showConditions("policy", o.Name, o.Status.Conditions)
	case *v1alpha1.PullAccessGrant:
		w.grants[o.Name] = o
		w.showConditions("grant", o.Name, o.Status.Conditions)
	case *eventsv1.Event:
		if o.ReportingController == operatorName {
			w.takeEvent(o)
		}
	}
}

// grant is the one that the operator has made, if it has.
func (w *world) grant() *v1alpha1.PullAccessGrant {
	for _, grant := range w.grants {
		return grant
	}
	return nil
}

// said tells whether the operator has said this about an object whose name
// begins like that.
func (w *world) said(reason, kind, prefix string) bool {
	return slices.ContainsFunc(w.events, func(e *eventsv1.Event) bool {
		return e.Reason == reason && e.Regarding.Kind == kind && strings.HasPrefix(e.Regarding.Name, prefix)
	})
}

// observer brings what changes in the cluster to a world.
type observer struct {
	*world
	operator *cluster.Process
	changes  chan watch.Event
	stop     []func()
}

// observe begins to watch. Whoever calls it must call close.
func observe(ctx context.Context, c client.WithWatch, operator *cluster.Process, w *world) (*observer, error) {
	o := &observer{world: w, operator: operator, changes: make(chan watch.Event)}
	for _, list := range []client.ObjectList{
		&corev1.PodList{}, &appsv1.DeploymentList{}, &eventsv1.EventList{},
		&v1alpha1.PullAccessPolicyList{}, &v1alpha1.PullAccessGrantList{},
	} {
		watching, err := c.Watch(ctx, list)
		if err != nil {
			o.close()
			return nil, fmt.Errorf("watch the cluster: %w", err)
		}
		o.stop = append(o.stop, watching.Stop)
		go func() {
			for change := range watching.ResultChan() {
				select {
				case o.changes <- change:
				case <-ctx.Done():
					return
				}
			}
		}()
	}
	return o, nil
}

func (o *observer) close() {
	for _, stop := range o.stop {
		stop()
	}
}

// until shows what happens until the wish is fulfilled, and says what was
// wished for if that can no longer be.
func (o *observer) until(ctx context.Context, what string, wish func() bool) error {
	for !wish() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, context.Cause(ctx))
		case <-o.operator.Done():
			return fmt.Errorf("waiting for %s: %w", what, o.operator.Exited())
		case change := <-o.changes:
			switch change.Type {
			case watch.Error:
				return fmt.Errorf("watch the cluster: %w", apierrors.FromObject(change.Object))
			case watch.Deleted:
				o.lose(change.Object)
			default:
				o.take(change.Object)
			}
		}
	}
	return nil
}
