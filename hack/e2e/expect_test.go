// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

const (
	// patience bounds one wait; on a machine without load each takes a few seconds.
	patience     = 2 * time.Minute
	pollInterval = 50 * time.Millisecond
)

// eventually polls until check says yes; after the bound it fails the test with what check saw last.
func eventually(t *testing.T, what string, check func(context.Context) (done bool, saw any)) {
	t.Helper()
	var saw any
	err := wait.PollUntilContextTimeout(t.Context(), pollInterval, patience, true, func(ctx context.Context) (bool, error) {
		done, now := check(ctx)
		if ctx.Err() == nil { // What was seen after the bound is the bound's own doing.
			saw = now
		}
		return done, nil
	})
	if err != nil {
		t.Fatalf("it never came to be that %s: %v; last seen: %s", what, err, show(saw))
	}
}

// show prints what was seen with pointers followed.
func show(saw any) string {
	if err, ok := saw.(error); ok {
		return err.Error()
	}
	data, err := json.MarshalIndent(saw, "", " ")
	if err != nil {
		return err.Error()
	}
	return string(data)
}

func create(t *testing.T, objects ...client.Object) {
	t.Helper()
	for _, object := range objects {
		if err := shared.client.Create(t.Context(), object); err != nil {
			t.Fatalf("create %T %s: %v", object, object.GetName(), err)
		}
	}
}

// is tells whether the grant has the condition with this status and reason.
func is(grant *v1alpha1.PullAccessGrant, kind string, status metav1.ConditionStatus, reason string) bool {
	c := meta.FindStatusCondition(grant.Status.Conditions, kind)
	return c != nil && c.Status == status && c.Reason == reason
}

// healed tells whether the grant has come to its good end.
func healed(grant *v1alpha1.PullAccessGrant) bool {
	return is(grant, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonRecovered)
}

// event waits for the operator's event about an object of this kind, and returns it. Events about objects without a namespace
// are in the namespace default.
func event(t *testing.T, namespace, kind, name, reason string) eventsv1.Event {
	t.Helper()
	var found eventsv1.Event
	eventually(t, "event "+reason+" is on the "+kind+" "+name+" of "+namespace, func(ctx context.Context) (bool, any) {
		var saw []string
		for _, e := range operatorEvents(ctx, namespace) {
			if e.Regarding.Kind != kind || name != "" && e.Regarding.Name != name {
				continue
			}
			if e.Reason == reason {
				found = e
				return true, nil
			}
			saw = append(saw, e.Reason+": "+e.Note)
		}
		return false, saw
	})
	return found
}

// operatorEvents lists the events of a namespace that the operator wrote.
func operatorEvents(ctx context.Context, namespace string) []eventsv1.Event {
	var list eventsv1.EventList
	if err := shared.client.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return nil
	}
	var own []eventsv1.Event
	for _, e := range list.Items {
		if e.ReportingController == operatorName {
			own = append(own, e)
		}
	}
	return own
}

// policyCondition waits for a condition of a policy, and returns it.
func policyCondition(t *testing.T, name, kind string, status metav1.ConditionStatus, reason string) metav1.Condition {
	t.Helper()
	var found metav1.Condition
	eventually(t, "condition "+kind+" of policy "+name+" is "+string(status)+" by "+reason, func(ctx context.Context) (bool, any) {
		var policy v1alpha1.PullAccessPolicy
		if err := shared.client.Get(ctx, client.ObjectKey{Name: name}, &policy); err != nil {
			return false, err
		}
		c := meta.FindStatusCondition(policy.Status.Conditions, kind)
		if c == nil || c.Status != status || c.Reason != reason {
			return false, policy.Status
		}
		found = *c
		return true, nil
	})
	return found
}

func wantWords(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("it says %q, want it to say %q", text, word)
		}
	}
}
