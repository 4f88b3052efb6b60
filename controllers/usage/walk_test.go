// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

var grantResource = schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "pullaccessgrants"}

// at is a time on record, in whole seconds.
func at(t time.Time) *metav1.Time {
	m := metav1.NewTime(t.Truncate(time.Second))
	return &m
}

func (w *world) wantUsage(name string, want v1alpha1.Usage) {
	w.Helper()
	if diff := cmp.Diff(want, w.grant(name).Status.Usage); diff != "" {
		w.Errorf("usage of %s (-want +got):\n%s", name, diff)
	}
}

// TestTheWayOfDisuse follows a grant from its use over the announcement of its end
// to the look that confirms it, and one that is used again in the last moment.
func TestTheWayOfDisuse(t *testing.T) {
	pod := podOn("node-1", "web", image)
	w := newWorld(t, granted("g", services, nodes), granted("again", tools, nodes), node("node-1", nodes), pod)
	first := w.look()
	w.wantListed(everything...)
	w.wantUsage("g", v1alpha1.Usage{LastUsedTime: at(first)})
	w.wantUsage("again", v1alpha1.Usage{UnusedSinceTime: at(first)})

	// Between two looks nothing is read, however often a grant wakes it.
	ended := w.clock.Now()
	for range 5 {
		if wait := w.mustStep().RequeueAfter; wait != ended.Add(DefaultInterval).Sub(w.clock.Now()) {
			t.Errorf("waits %s at %s, want the rest of the interval", wait, w.clock.Now())
		}
		w.wait(time.Second)
	}
	w.wantListed()

	// A second look that finds the same writes nothing.
	patches := w.patches
	w.wait(DefaultInterval)
	w.look()
	if w.patches != patches {
		t.Errorf("%d patches said what was on record", w.patches-patches)
	}

	if err := w.client.Delete(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	w.wait(DefaultInterval)
	unused := w.look()
	w.wantUsage("g", v1alpha1.Usage{LastUsedTime: at(first), UnusedSinceTime: at(unused)})

	// The end is announced: the next look begins when it is due, not at the interval.
	due := w.clock.Now().Truncate(time.Second).Add(2 * time.Minute)
	for _, name := range []string{"g", "again"} {
		w.change(name, func(g *v1alpha1.PullAccessGrant) {
			grantstatus.Announce(g, &v1alpha1.Ending{Reason: v1alpha1.EndUnused, DueTime: metav1.NewTime(due)}, now)
		})
	}
	w.create(podOn("node-1", "tool", toolImage))
	w.pages.said = nil
	wait := w.mustStep().RequeueAfter
	if next := w.clock.Now().Add(wait); !next.Equal(due) {
		t.Fatalf("the next look is at %s, want %s", next, due)
	}
	w.wantListed()
	w.wait(wait)
	confirmed := w.look()
	if confirmed.Before(due) {
		t.Errorf("a look of %s confirms an end of %s", confirmed, due)
	}
	w.wantUsage("g", v1alpha1.Usage{LastUsedTime: at(first), UnusedSinceTime: at(unused), UnusedCheckedTime: at(confirmed)})
	w.wantUsage("again", v1alpha1.Usage{LastUsedTime: at(confirmed)})

	// What was confirmed is not looked at without rest until it is taken out.
	if wait := w.mustStep().RequeueAfter; wait < DefaultInterval-2*pagePause {
		t.Errorf("the next look is in %s", wait)
	}
}

func TestNothingIsListedWithoutGrants(t *testing.T) {
	waiting := granted("waiting", services, nodes)
	grantstatus.Refuse(waiting, metav1.ConditionFalse, v1alpha1.ReasonCloudForbidden, "No.", true)
	ended := granted("ended", services, batch)
	grantstatus.End(ended, v1alpha1.EndExpired, now)
	leaving := granted("leaving", tools, nodes)
	leaving.DeletionTimestamp, leaving.Finalizers = at(now), []string{v1alpha1.Finalizer}
	timeless := granted("timeless", tools, batch)
	timeless.Status.GrantedTime = nil
	for name, objects := range map[string][]client.Object{"no grant": nil, "none in force": {waiting, ended, leaving, timeless}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, append(objects, podOn("node-1", "web", image), node("node-1", nodes))...)
			for range 3 {
				if got := w.mustStep().RequeueAfter; got != DefaultInterval {
					t.Errorf("comes back after %s, want %s", got, DefaultInterval)
				}
			}
			w.wantListed()
			if len(w.cloud.asked) > 0 || w.patches > 0 {
				t.Errorf("asked for %v, %d patches", w.cloud.asked, w.patches)
			}
		})
	}
}

// TestGrantsOfNowAreLeftAlone: a look has seen part of the cluster before a grant
// that is written while it goes on, so it says nothing of it.
func TestGrantsOfNowAreLeftAlone(t *testing.T) {
	regrant := func(g *v1alpha1.PullAccessGrant, when time.Time) {
		grantstatus.Grant(g, v1alpha1.OriginAdded, "etag", when)
	}
	sameSecond := granted("same-second", tools, batch)
	regrant(sameSecond, now.Truncate(time.Second))
	w := newWorld(t, granted("old", services, nodes), granted("anew", services, batch), granted("ends", tools, nodes), sameSecond)
	w.wait(700 * time.Millisecond)
	w.mustStep()
	during := granted("during", imageref.Repository{Project: "acme-prod", Location: "us-central1", Name: "web"}, nodes)
	regrant(during, w.clock.Now())
	w.create(during)
	w.change("anew", func(g *v1alpha1.PullAccessGrant) { regrant(g, w.clock.Now().Add(time.Second)) })
	w.change("ends", func(g *v1alpha1.PullAccessGrant) { grantstatus.End(g, v1alpha1.EndRevoked, w.clock.Now()) })
	w.look()
	w.wantFindings(map[string]string{"old": "unused", "anew": "", "ends": "", "during": "", "same-second": ""})

	w.wait(DefaultInterval)
	w.look()
	w.wantFindings(map[string]string{"anew": "unused", "ends": "", "during": "unused", "same-second": "unused"})
}

// TestTroubleConcludesNothing interrupts a look at each of its pages in turn. It
// goes on from there, or begins again; it never ends without what it did not see.
func TestTroubleConcludesNothing(t *testing.T) {
	expired := apierrors.NewResourceExpired("too old")
	tests := map[string]struct {
		err   error
		again bool // Where a list goes on, the look begins again.
	}{
		"API server ill":   {err: errors.New("the API server is ill")},
		"too many calls":   {err: apierrors.NewTooManyRequests("later", 1)},
		"forbidden":        {err: apierrors.NewForbidden(corev1.Resource("pods"), "", nil)},
		"expired":          {err: expired, again: true},
		"wrapped, expired": {err: fmt.Errorf("list: %w", expired), again: true},
		"gone":             {err: &apierrors.StatusError{ErrStatus: metav1.Status{Reason: metav1.StatusReasonGone}}, again: true},
		"token of another": {err: apierrors.NewBadRequest("invalid continue token"), again: true},
	}
	// Two pages of pods; the last pod of all is the one use.
	const pageCount = 8
	for name, tc := range tests {
		for trouble := 1; trouble <= pageCount; trouble++ {
			t.Run(fmt.Sprintf("%s at page %d", name, trouble), func(t *testing.T) {
				w := newWorld(t, granted("g", services, nodes), granted("idle", tools, nodes), node("node-1", nodes),
					podOn("node-1", "a", otherImage), podOn("node-1", "b", otherImage), podOn("node-1", "z", image))
				w.pages.size = 2
				w.pages.before = func(page int) error {
					if page == trouble {
						return tc.err
					}
					return nil
				}
				failures := 0
				for w.r.ended.IsZero() {
					if _, err := w.step(); err != nil {
						failures++
					}
					if w.patches > 0 && w.r.ended.IsZero() {
						t.Fatal("something was written before the look had come to its end")
					}
				}
				w.wantFindings(map[string]string{"g": "used", "idle": "unused"})
				begunAgain := tc.again && trouble == pageCount
				if want := 1; failures != want && !begunAgain || begunAgain && failures != 0 {
					t.Errorf("%d errors for the queue to back off from", failures)
				}
				wantPages, wantStart := pageCount+1, now
				if begunAgain {
					wantPages, wantStart = 2*pageCount, now.Add(pageCount*pagePause)
				}
				if w.pages.lists != wantPages || !w.r.began.Equal(wantStart) {
					t.Errorf("%d pages in a look that began at %s; want %d, %s", w.pages.lists, w.r.began, wantPages, wantStart)
				}
			})
		}
	}
}

func TestNodeTroubleIsTriedAgain(t *testing.T) {
	w := newWorld(t, granted("g", services, nodes), node("node-1", nodes), podOn("node-1", "web", image))
	w.get = func() error { return errors.New("the API server is ill") }
	var err error
	for err == nil {
		_, err = w.step()
	}
	pages := w.pages.lists
	if _, err := w.step(); err == nil || w.patches > 0 {
		t.Errorf("an error that lasts: %v, %d patches", err, w.patches)
	}
	w.get = nil
	w.look()
	w.wantFindings(map[string]string{"g": "used"})
	if w.pages.lists != pages {
		t.Error("a page was read twice for a node")
	}
}

// TestRecordsInSpiteOfTrouble: one grant that cannot be written keeps no other
// from it, and is tried again without another look.
func TestRecordsInSpiteOfTrouble(t *testing.T) {
	tests := map[string]struct {
		err       error
		wantError bool
		wantTries int
	}{
		"overtaken": {err: apierrors.NewConflict(grantResource, "a", errors.New("changed")), wantTries: 2},
		"ill":       {err: errors.New("the API server is ill"), wantTries: 2, wantError: true},
		"deleted":   {err: apierrors.NewNotFound(grantResource, "a"), wantTries: 1},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, granted("a", services, nodes), granted("b", services, batch))
			tries, failed := 0, false
			w.patch = func(o client.Object) error {
				if o.GetName() != "a" {
					return nil
				}
				if tries++; tries == 1 {
					return tc.err
				}
				return nil
			}
			for w.r.ended.IsZero() {
				_, err := w.step()
				failed = failed || err != nil
				if tries == 1 {
					w.wantFindings(map[string]string{"b": "unused"})
				}
			}
			if tries != tc.wantTries || failed != tc.wantError || w.pages.lists != len(kinds) {
				t.Errorf("%d tries, error %v, %d pages; want %d, %v, %d", tries, failed, w.pages.lists, tc.wantTries, tc.wantError, len(kinds))
			}
		})
	}
}

// TestLookThatLastsTooLong: after an hour of trouble, what was seen first is stale.
func TestLookThatLastsTooLong(t *testing.T) {
	w := newWorld(t, granted("g", services, nodes), deployment("web", otherImage, 1))
	w.mustStep()
	w.pages.before = func(int) error { return errors.New("the API server is ill") }
	if _, err := w.step(); err == nil {
		t.Fatal("the trouble was not met")
	}
	w.wait(tooLong)
	w.create(deployment("late", image, 1)) // The first page had none.
	w.pages.before = nil
	if began := w.look(); began.Before(now.Add(tooLong)) {
		t.Errorf("a look of %s was ended", began)
	}
	w.wantFindings(map[string]string{"g": "used"})
}

// TestRestart: a new process begins again, and comes to the same end.
func TestRestart(t *testing.T) {
	w := newWorld(t, granted("g", services, nodes), podOn("node-1", "web", image), node("node-1", nodes))
	for range len(kinds) {
		w.mustStep()
		w.restart()
	}
	if w.patches > 0 {
		t.Error("a look that never came to its end was recorded")
	}
	w.look()
	w.wantFindings(map[string]string{"g": "used"})
}

// TestPace: steps that come too soon do nothing.
func TestPace(t *testing.T) {
	w := newWorld(t, granted("g", services, nodes))
	for _, interval := range []time.Duration{DefaultInterval, time.Second} {
		w.restart()
		w.r.Interval = interval
		w.mustStep()
		lists, want := w.pages.lists, min(pagePause, interval/10)
		if result, err := w.r.Reconcile(t.Context(), Cluster{}); err != nil || result.RequeueAfter != want || w.pages.lists != lists {
			t.Errorf("interval %s: a second step at once: %+v, %v, %d pages; want a wait of %s", interval, result, err, w.pages.lists-lists, want)
		}
	}
}

func TestWakes(t *testing.T) {
	none, force := &v1alpha1.PullAccessGrant{}, granted("g", services, nodes)
	ending := func(reason v1alpha1.EndReason, due time.Time) *v1alpha1.PullAccessGrant {
		g := granted("g", services, nodes)
		grantstatus.Announce(g, &v1alpha1.Ending{Reason: reason, DueTime: metav1.NewTime(due)}, now)
		return g
	}
	tests := map[string]struct {
		was, is *v1alpha1.PullAccessGrant
		want    bool
	}{
		"made":                {nil, none, false},
		"found at the start":  {nil, force, true},
		"comes into force":    {none, force, true},
		"stays in force":      {force, force, false},
		"ends":                {force, none, false},
		"end is announced":    {force, ending(v1alpha1.EndUnused, now), true},
		"end is put off":      {ending(v1alpha1.EndUnused, now), ending(v1alpha1.EndUnused, now.Add(time.Hour)), true},
		"end stays announced": {ending(v1alpha1.EndUnused, now), ending(v1alpha1.EndUnused, now), false},
		"ends by its time":    {force, ending(v1alpha1.EndExpired, now), false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var got bool
			if tc.was == nil {
				got = wakes().Create(event.TypedCreateEvent[*v1alpha1.PullAccessGrant]{Object: tc.is})
			} else {
				got = wakes().Update(event.TypedUpdateEvent[*v1alpha1.PullAccessGrant]{ObjectOld: tc.was, ObjectNew: tc.is})
			}
			if got != tc.want {
				t.Errorf("passes: %v, want %v", got, tc.want)
			}
		})
	}
	if wakes().Delete(event.TypedDeleteEvent[*v1alpha1.PullAccessGrant]{Object: force}) {
		t.Error("a deletion begins no look")
	}
}
