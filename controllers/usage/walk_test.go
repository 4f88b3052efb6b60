// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	"github.com/pull-access/pull-access-operator/internal/controllertest"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

var grantResource = schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "pullaccessgrants"}

// at is a time on record, in whole seconds.
func at(t time.Time) *metav1.Time {
	m := metav1.NewTime(t.Truncate(time.Second))
	return &m
}

func (e *env) wantUsage(name string, want v1alpha1.Usage) {
	e.Helper()
	if diff := cmp.Diff(want, e.Grant(name).Status.Usage); diff != "" {
		e.Errorf("usage of %s (-want +got):\n%s", name, diff)
	}
}

// TestTheWayOfDisuse follows a grant from its use over the announcement of its end
// to the look that confirms it, and one that is used again in the last moment.
func TestTheWayOfDisuse(t *testing.T) {
	pod := controllertest.Pod("node-1", "web", image)
	e := newEnv(t, granted("g", services, nodes), granted("again", tools, nodes), controllertest.Node("node-1", nodes), pod)
	first := e.look()
	e.wantListed(everything...)
	e.wantUsage("g", v1alpha1.Usage{LastUsedTime: at(first)})
	e.wantUsage("again", v1alpha1.Usage{UnusedSinceTime: at(first)})

	// Between two looks nothing is read, however often a grant wakes it.
	ended := e.Clock.Now()
	for range 5 {
		if wait := e.mustStep().RequeueAfter; wait != ended.Add(DefaultInterval).Sub(e.Clock.Now()) {
			t.Errorf("waits %s at %s, want the rest of the interval", wait, e.Clock.Now())
		}
		e.Step(time.Second)
	}
	e.wantListed()

	// A second look that finds the same writes nothing.
	patches := e.patches()
	e.Step(DefaultInterval)
	e.look()
	if n := e.patches() - patches; n != 0 {
		t.Errorf("%d patches said what was on record", n)
	}

	e.Delete(pod)
	e.Step(DefaultInterval)
	unused := e.look()
	e.wantUsage("g", v1alpha1.Usage{LastUsedTime: at(first), UnusedSinceTime: at(unused)})

	// The end is announced: the next look begins when it is due, not at the interval.
	due := e.Clock.Now().Truncate(time.Second).Add(2 * time.Minute)
	for _, name := range []string{"g", "again"} {
		e.change(name, func(g *v1alpha1.PullAccessGrant) {
			grantstatus.Announce(g, &v1alpha1.Ending{Reason: v1alpha1.EndUnused, DueTime: metav1.NewTime(due)}, now)
		})
	}
	e.Create(controllertest.Pod("node-1", "tool", toolImage))
	e.Lister.Kinds = nil
	wait := e.mustStep().RequeueAfter
	if next := e.Clock.Now().Add(wait); !next.Equal(due) {
		t.Fatalf("the next look is at %s, want %s", next, due)
	}
	e.wantListed()
	e.Step(wait)
	confirmed := e.look()
	if confirmed.Before(due) {
		t.Errorf("a look of %s confirms an end of %s", confirmed, due)
	}
	e.wantUsage("g", v1alpha1.Usage{LastUsedTime: at(first), UnusedSinceTime: at(unused), UnusedCheckedTime: at(confirmed)})
	e.wantUsage("again", v1alpha1.Usage{LastUsedTime: at(confirmed)})

	// What was confirmed is not looked at without rest until it is taken out.
	if wait := e.mustStep().RequeueAfter; wait < DefaultInterval-2*pagePause {
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
			e := newEnv(t, append(objects, controllertest.Pod("node-1", "web", image), controllertest.Node("node-1", nodes))...)
			for range 3 {
				if got := e.mustStep().RequeueAfter; got != DefaultInterval {
					t.Errorf("comes back after %s, want %s", got, DefaultInterval)
				}
			}
			e.wantListed()
			if len(e.asked()) > 0 || e.patches() > 0 {
				t.Errorf("asked for %v, %d patches", e.asked(), e.patches())
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
	e := newEnv(t, granted("old", services, nodes), granted("anew", services, batch), granted("ends", tools, nodes), sameSecond)
	e.Step(700 * time.Millisecond)
	e.mustStep()
	during := granted("during", imageref.Repository{Project: "acme-prod", Location: "us-central1", Name: "web"}, nodes)
	regrant(during, e.Clock.Now())
	e.Create(during)
	e.change("anew", func(g *v1alpha1.PullAccessGrant) { regrant(g, e.Clock.Now().Add(time.Second)) })
	e.change("ends", func(g *v1alpha1.PullAccessGrant) { grantstatus.End(g, v1alpha1.EndRevoked, e.Clock.Now()) })
	e.look()
	e.wantFindings(map[string]string{"old": "unused", "anew": "", "ends": "", "during": "", "same-second": ""})

	e.Step(DefaultInterval)
	e.look()
	e.wantFindings(map[string]string{"anew": "unused", "ends": "", "during": "unused", "same-second": "unused"})
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
				e := newEnv(t, granted("g", services, nodes), granted("idle", tools, nodes), controllertest.Node("node-1", nodes),
					controllertest.Pod("node-1", "a", otherImage), controllertest.Pod("node-1", "b", otherImage), controllertest.Pod("node-1", "z", image))
				e.Lister.Size = 2
				e.Lister.Fail = func(page int) error {
					if page == trouble {
						return tc.err
					}
					return nil
				}
				failures := 0
				for e.r.ended.IsZero() {
					if _, err := e.step(); err != nil {
						failures++
					}
					if e.patches() > 0 && e.r.ended.IsZero() {
						t.Fatal("something was written before the look had come to its end")
					}
				}
				e.wantFindings(map[string]string{"g": "used", "idle": "unused"})
				begunAgain := tc.again && trouble == pageCount
				if want := 1; failures != want && !begunAgain || begunAgain && failures != 0 {
					t.Errorf("%d errors for the queue to back off from", failures)
				}
				wantPages, wantStart := pageCount+1, now
				if begunAgain {
					wantPages, wantStart = 2*pageCount, now.Add(pageCount*pagePause)
				}
				if e.Lister.Pages != wantPages || !e.r.began.Equal(wantStart) {
					t.Errorf("%d pages in a look that began at %s; want %d, %s", e.Lister.Pages, e.r.began, wantPages, wantStart)
				}
			})
		}
	}
}

func TestNodeTroubleIsTriedAgain(t *testing.T) {
	e := newEnv(t, granted("g", services, nodes), controllertest.Node("node-1", nodes), controllertest.Pod("node-1", "web", image))
	e.failNodes(errors.New("the API server is ill"))
	var err error
	for err == nil {
		_, err = e.step()
	}
	pages := e.Lister.Pages
	if _, err := e.step(); err == nil || e.patches() > 0 {
		t.Errorf("an error that lasts: %v, %d patches", err, e.patches())
	}
	e.failNodes(nil)
	e.look()
	e.wantFindings(map[string]string{"g": "used"})
	if e.Lister.Pages != pages {
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
			e := newEnv(t, granted("a", services, nodes), granted("b", services, batch))
			tries, failed := 0, false
			e.Faults.SubResourcePatch = func(ctx context.Context, c client.Client, sub string, o client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
				if o.GetName() == "a" {
					if tries++; tries == 1 {
						return tc.err
					}
				}
				return c.SubResource(sub).Patch(ctx, o, patch, options...)
			}
			for e.r.ended.IsZero() {
				_, err := e.step()
				failed = failed || err != nil
				if tries == 1 {
					e.wantFindings(map[string]string{"b": "unused"})
				}
			}
			if tries != tc.wantTries || failed != tc.wantError || e.Lister.Pages != len(kinds) {
				t.Errorf("%d tries, error %v, %d pages; want %d, %v, %d", tries, failed, e.Lister.Pages, tc.wantTries, tc.wantError, len(kinds))
			}
		})
	}
}

// TestLookThatLastsTooLong: after an hour of trouble, what was seen first is stale.
func TestLookThatLastsTooLong(t *testing.T) {
	e := newEnv(t, granted("g", services, nodes), controllertest.Deployment("web", otherImage))
	e.mustStep()
	e.Lister.Fail = func(int) error { return errors.New("the API server is ill") }
	if _, err := e.step(); err == nil {
		t.Fatal("the trouble was not met")
	}
	e.Step(tooLong)
	e.Create(controllertest.Deployment("late", image)) // The first page had none.
	e.Lister.Fail = nil
	if began := e.look(); began.Before(now.Add(tooLong)) {
		t.Errorf("a look of %s was ended", began)
	}
	e.wantFindings(map[string]string{"g": "used"})
}

// TestRestart: a new process begins again, and comes to the same end.
func TestRestart(t *testing.T) {
	e := newEnv(t, granted("g", services, nodes), controllertest.Pod("node-1", "web", image), controllertest.Node("node-1", nodes))
	for range len(kinds) {
		e.mustStep()
		e.restart()
	}
	if e.patches() > 0 {
		t.Error("a look that never came to its end was recorded")
	}
	e.look()
	e.wantFindings(map[string]string{"g": "used"})
}

// TestPace: steps that come too soon do nothing.
func TestPace(t *testing.T) {
	e := newEnv(t, granted("g", services, nodes))
	for _, interval := range []time.Duration{DefaultInterval, time.Second} {
		e.restart()
		e.r.Interval = interval
		e.mustStep()
		lists, want := e.Lister.Pages, min(pagePause, interval/10)
		if result, err := e.r.Reconcile(t.Context(), Cluster{}); err != nil || result.RequeueAfter != want || e.Lister.Pages != lists {
			t.Errorf("interval %s: a second step at once: %+v, %v, %d pages; want a wait of %s", interval, result, err, e.Lister.Pages-lists, want)
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

// TestPagesFollowTheirSize checks that the page size follows the size of the objects,
// because the API server holds a whole page.
func TestPagesFollowTheirSize(t *testing.T) {
	for name, tc := range map[string]struct {
		bytes       int64
		least, most int64
	}{
		"small objects": {bytes: 1000, least: 100, most: 500},
		"large objects": {bytes: 64 << 20, least: 5, most: 100},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, granted("g", services, nodes))
			e.Lister.Bytes = tc.bytes
			e.look()
			if first := e.Lister.Limits[0]; first != 100 {
				t.Errorf("the first page has %d objects, want 100", first)
			}
			if least, most := slices.Min(e.Lister.Limits), slices.Max(e.Lister.Limits); least != tc.least || most != tc.most {
				t.Errorf("pages have %v objects, want from %d to %d", e.Lister.Limits, tc.least, tc.most)
			}
		})
	}
}

// TestFailedPageIsFollowedByASmallerOne: a page may have failed because it was too large,
// however few of its bytes were read.
func TestFailedPageIsFollowedByASmallerOne(t *testing.T) {
	e := newEnv(t, granted("g", services, nodes))
	e.Lister.Fail = func(page int) error {
		if page > 4 {
			return nil
		}
		e.Lister.Limits = append(e.Lister.Limits, e.r.look.size.Limit())
		return errors.New("the page is too large")
	}
	for range 4 {
		if _, err := e.step(); err == nil {
			t.Fatal("a page that was not read is no error")
		}
	}
	if want := []int64{100, 25, 6, 5}; !slices.Equal(e.Lister.Limits, want) {
		t.Errorf("pages that failed had %v objects, want %v", e.Lister.Limits, want)
	}
	e.look()
	if last := e.Lister.Limits[len(e.Lister.Limits)-1]; last <= 100 {
		t.Errorf("after a failure that has passed, the last page has %d objects", last)
	}
}
