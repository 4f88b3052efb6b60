// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	artifactregistry "cloud.google.com/go/artifactregistry/apiv1"
	"cloud.google.com/go/iam/apiv1/iampb"
	"github.com/google/go-cmp/cmp"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/pull-access/pull-access-operator/controllers/grant"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
)

const (
	operators = 20
	// perOperator is how many members each operator adds, in one or several edits.
	perOperator = 50
	// maxPerWrite is how many attempts a write may cost.
	maxPerWrite = 3
	// recordTakes is what it takes an operator to put one member on record before a write.
	recordTakes = 10 * time.Millisecond
	// oneEdit and the two below are what controllers/grant gives an edit, and how it
	// comes back to one that was given up.
	oneEdit               = 2 * time.Minute
	firstRetry, lastRetry = time.Second, 2 * time.Minute
)

// crowd is twenty operators and a foreign writer, all of which begin at once and
// pause for nothing, on one repository.
type crowd struct {
	google  *google
	turns   *turns
	address string
	// size is how many members go into one edit.
	size   int
	active atomic.Int32
	gaveUp atomic.Int32
	// others are the bindings that nobody but the foreign writer may change.
	others *foreigner
}

// counts is what a crowd cost, the foreign writer's requests left out.
type counts struct {
	writes, attempts, reads, conflicts, gaveUp int
	foreignWrites                              int
	took                                       time.Duration
}

func (c counts) perWrite(n int) float64 { return float64(n) / float64(c.writes) }

// TestManyWriters has operators with ten edits of five members each, far
// from their cloud: nearer by, they meet less.
func TestManyWriters(t *testing.T) {
	got := newCrowd(t, 5, 300*time.Millisecond).run(t)
	t.Logf("%d writes after %d attempts and %d reads, %d edits given up and repeated, beside %d foreign writes: %s",
		got.writes, got.attempts, got.reads, got.gaveUp, got.foreignWrites, got.took)
	if want := operators * perOperator / 5; got.writes != want || got.foreignWrites == 0 {
		t.Errorf("%d writes of operators and %d of the foreign writer, want %d and some", got.writes, got.foreignWrites, want)
	}
	if got.attempts > maxPerWrite*got.writes {
		t.Errorf("%d attempts for %d writes, want at most %d for each", got.attempts, got.writes, maxPerWrite)
	}
}

// BenchmarkManyWriters shows what a write costs among twenty-one writers. The
// operators have a storm behind them (ten edits of five members each) or work one
// grant off after the other (fifty edits of one).
func BenchmarkManyWriters(b *testing.B) {
	for _, size := range []int{5, 1} {
		for _, latency := range []time.Duration{0, 100 * time.Millisecond, 300 * time.Millisecond} {
			b.Run(fmt.Sprintf("edits=%dx%d/latency=%s", perOperator/size, size, latency), func(b *testing.B) {
				var sum counts
				for b.Loop() {
					one := newCrowd(b, size, latency).run(b)
					sum.writes, sum.attempts, sum.reads = sum.writes+one.writes, sum.attempts+one.attempts, sum.reads+one.reads
					sum.conflicts, sum.gaveUp, sum.took = sum.conflicts+one.conflicts, sum.gaveUp+one.gaveUp, sum.took+one.took
				}
				b.ReportMetric(sum.perWrite(sum.attempts), "attempts/write")
				b.ReportMetric(sum.perWrite(sum.reads), "reads/write")
				b.ReportMetric(sum.perWrite(sum.conflicts), "conflicts/write")
				b.ReportMetric(sum.perWrite(sum.gaveUp), "given-up/write")
				b.ReportMetric(sum.took.Seconds()/float64(b.N), "emulated-s/op")
				b.ReportMetric(0, "ns/op") // The machine's own time says nothing.
			})
		}
	}
}

func newCrowd(tb testing.TB, size int, latency time.Duration) *crowd {
	tb.Helper()
	c := &crowd{google: newGoogle(tb), turns: &turns{random: rand.New(rand.NewPCG(1, uint64(size)))}, size: size}
	c.address = c.turns.distant(tb, c.google.URL(), latency)
	apis, err := connect(tb.Context(), c.address, "foreign", defaultCallTimeout)
	if err != nil {
		tb.Fatalf("connect the foreign writer: %v", err)
	}
	c.others = &foreigner{crowd: c, client: apis.artifacts, bindings: []*iampb.Binding{
		{Role: "roles/artifactregistry.writer", Members: []string{human, batchMember}},
		{Role: "roles/artifactregistry.admin", Members: []string{human}},
	}}
	c.google.SetPolicy(services.ResourceName(), &iampb.Policy{Bindings: []*iampb.Binding{
		proto.CloneOf(c.others.bindings[0]),
		{Role: iampolicy.Role, Members: []string{human, "group:dev@example.com"}},
		proto.CloneOf(c.others.bindings[1]),
	}})
	return c
}

// run has all of them write until the operators are done, and compares what is
// there with what each of them wrote.
func (c *crowd) run(tb testing.TB) counts {
	tb.Helper()
	want := []string{human, "group:dev@example.com"}
	players := []func(){func() { c.others.work(tb) }}
	for i := range operators {
		var mine []string
		for m := range perOperator {
			email := fmt.Sprintf("n%d@cluster-%d.iam.gserviceaccount.com", m, i)
			c.google.AddServiceAccount(email)
			mine = append(mine, "serviceAccount:"+email)
		}
		want = append(want, mine...)
		players = append(players, func() { c.operate(tb, i, mine) })
	}
	c.active.Store(operators)
	c.turns.play(players...)

	got := c.google.readers()
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		tb.Errorf("readers were lost, or are there twice (-want +got)\n%s", diff)
	}
	c.others.compare(tb, c.google.Policy(services.ResourceName()))
	return c.count()
}

// operate is one operator: it adds its members, and comes back to an edit that was given up.
func (c *crowd) operate(tb testing.TB, i int, members []string) {
	tb.Helper()
	defer c.active.Add(-1)
	own := &deadlineClock{FakeClock: clocktesting.NewFakeClock(time.Unix(1_800_000_000, 0)), turns: c.turns}
	client := newClient(tb, Options{Endpoint: c.address, Clock: own, CallTimeout: time.Hour})
	for batch := range slices.Chunk(members, c.size) {
		for retry := firstRetry; ; retry = min(2*retry, lastRetry) {
			var write iampolicy.Write
			var err error
			own.within(tb.Context(), oneEdit, func(ctx context.Context) {
				write, err = c.edit(ctx, client, batch, fmt.Sprintf("operator %d", i))
			})
			if err == nil {
				if diff := cmp.Diff(iampolicy.Change{Added: batch}, write.Change); diff != "" {
					tb.Errorf("operator %d (-want +got)\n%s", i, diff)
				}
				break
			}
			if !errors.Is(err, iampolicy.ErrConflict) {
				tb.Errorf("operator %d: %v", i, err)
				return
			}
			c.gaveUp.Add(1)
			c.turns.wait(retry)
		}
	}
}

// edit adds the members as controllers/grant does after conflicts: with its backoff, and with
// the intent put on record before each write.
func (c *crowd) edit(ctx context.Context, client *Client, members []string, reason string) (iampolicy.Write, error) {
	pauses := grant.Backoff()
	for reads := 1; ; reads++ {
		prepared, err := client.Prepare(ctx, services, iampolicy.Edit{Add: members})
		if err != nil {
			return iampolicy.Write{}, err
		}
		c.turns.wait(c.turns.around(recordTakes * time.Duration(len(members))))
		write, err := prepared.Commit(ctx, reason)
		if err == nil || !errors.Is(err, iampolicy.ErrConflict) || reads == grant.MaxReads {
			return write, err
		}
		if stopped := client.wait(ctx, pauses.Step()); stopped != nil {
			return iampolicy.Write{}, fmt.Errorf("%w: %w", err, stopped)
		}
	}
}

// count reads the emulator's record. Only operators give a reason for a write.
func (c *crowd) count() counts {
	got := counts{gaveUp: int(c.gaveUp.Load()), took: c.turns.passed(), foreignWrites: c.others.writes, reads: -c.others.reads}
	for _, request := range c.google.Requests() {
		switch {
		case request.Method == "GetIamPolicy":
			got.reads++
		case request.Method != "SetIamPolicy" || request.Reason == "":
		case request.Status == http.StatusOK:
			got.writes++
			got.attempts++
		default:
			got.conflicts++
			got.attempts++
		}
	}
	return got
}

// foreigner changes bindings that are none of the operators' business, by its own
// read-modify-write, until they are done.
type foreigner struct {
	crowd    *crowd
	client   *artifactregistry.Client
	bindings []*iampb.Binding
	// reads and writes are those that it has done.
	reads, writes int
}

func (f *foreigner) work(tb testing.TB) {
	tb.Helper()
	for f.crowd.active.Load() > 0 {
		backoff := gax.Backoff{Initial: time.Second, Max: 32 * time.Second, Multiplier: 2}
		for !f.change(tb) {
			f.crowd.turns.wait(backoff.Pause())
		}
		f.crowd.turns.wait(f.crowd.turns.between(time.Second/2, 3*time.Second))
	}
}

// change does the next change, and tells whether nobody else wrote first: by turns
// a writer comes, an administrator comes, and the first writer goes.
func (f *foreigner) change(tb testing.TB) bool {
	tb.Helper()
	policy, err := f.client.GetIamPolicy(tb.Context(), &iampb.GetIamPolicyRequest{
		Resource: services.ResourceName(), Options: &iampb.GetPolicyOptions{RequestedPolicyVersion: 3},
	})
	if err != nil {
		tb.Errorf("foreign read: %v", err)
		return true
	}
	f.reads++
	f.compare(tb, policy)
	next := []*iampb.Binding{proto.CloneOf(f.bindings[0]), proto.CloneOf(f.bindings[1])}
	switch newcomer := fmt.Sprintf("user:f%d@example.com", f.writes); f.writes % 3 {
	case 0:
		next[0].Members = append(next[0].Members, newcomer)
	case 1:
		next[1].Members = append(next[1].Members, newcomer)
	default:
		next[0].Members = next[0].Members[1:]
	}
	for i, binding := range policy.GetBindings() {
		if at := slices.IndexFunc(next, func(b *iampb.Binding) bool { return b.GetRole() == binding.GetRole() }); at >= 0 {
			policy.Bindings[i] = next[at]
		}
	}
	_, err = f.client.SetIamPolicy(tb.Context(), &iampb.SetIamPolicyRequest{Resource: services.ResourceName(), Policy: policy})
	switch {
	case status.Code(err) == codes.Aborted:
		return false
	case err != nil:
		tb.Errorf("foreign write: %v", err)
		return true
	}
	f.bindings, f.writes = next, f.writes+1
	return true
}

// compare fails unless all bindings but the readers' are as the foreign writer left them.
func (f *foreigner) compare(tb testing.TB, policy *iampb.Policy) {
	tb.Helper()
	rest := slices.DeleteFunc(slices.Clone(policy.GetBindings()), func(b *iampb.Binding) bool { return b.GetRole() == iampolicy.Role })
	if diff := cmp.Diff(f.bindings, rest, protocmp.Transform()); diff != "" {
		tb.Errorf("foreign bindings were changed (-want +got)\n%s", diff)
	}
}
