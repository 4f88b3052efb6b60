// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster && faults

package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
)

// crashPoint is one boundary of the operator's writes, at which it is killed.
type crashPoint struct {
	name string
	// gate is the request to the API server that it dies over. Where overWrite is set, it waits there until all others have
	// come to where they are to die, and dies over the write of the policy that follows.
	gate      *gate
	overWrite bool
	// faultFirst: the cloud's fault comes before the boundary, else after the crash.
	faultFirst bool
	// revoking: the grant is healed, and then deleted.
	revoking bool
	// gentle is as in killCase.
	gentle bool
}

var (
	intentGate = &gate{method: http.MethodPatch, path: grantsPath, body: `"intentTime"`}
	// intentDone is the answer to the record of an intent.
	intentDone = &gate{method: http.MethodPatch, path: grantsPath, body: `"intentTime"`, after: true}
)

// crashPoints are the rows of the matrix that kill, in the order of the way through. Those of the way to a recovery are the
// killCases, all of them; where a killCase dies by the clock, its moment is held up here by a request, so that many can be
// held up at once.
var crashPoints = []crashPoint{
	{name: "1-before-the-grant-is-made", gate: killCases["1-before-the-grant-is-made"].gate},
	{name: "2-grant-made", gate: killCases["2-grant-made"].gate},
	{name: "3-before-the-intent", gate: intentGate},
	{name: "4-intent-but-no-write", gate: intentDone},
	{name: "5-write-without-an-answer", gate: intentDone, overWrite: true, faultFirst: true},
	{name: "6-write-but-no-record", gate: killCases["6-write-but-no-record"].gate, faultFirst: true},
	{
		name: "7-record-but-no-restart", faultFirst: true,
		gate: &gate{method: http.MethodPatch, path: grantsPath, body: `"restartTime"`},
	},
	{name: "8-restart-recorded-not-done", gate: killCases["8-restart-recorded-not-done"].gate, faultFirst: true},
	{name: "9-restart-without-an-answer", gate: killCases["9-restart-without-an-answer"].gate, faultFirst: true, gentle: true},
	{name: "10-before-the-recovery-shows", gate: killCases["10-before-the-recovery-shows"].gate, faultFirst: true},
	{name: "11-before-the-removal-is-meant", gate: intentGate, revoking: true},
	{name: "12-removal-without-an-answer", gate: intentDone, overWrite: true, faultFirst: true, revoking: true},
	{
		name: "13-removed-but-not-released", faultFirst: true, revoking: true,
		gate: &gate{method: http.MethodPatch, path: grantsPath, body: `"finalizers"`},
	},
}

// noCrash is the row of the operator that lives on.
const noCrash = "none"

// cloudFault is one column: what Google answers to the write of the policy.
type cloudFault struct {
	name string
	// fault is played as often as its Times say; 0 is no fault.
	fault gcpemulator.Fault
	// statuses are what the writes are answered that it hits.
	statuses []int
	// done: the write took effect all the same, and is not sent again.
	done bool
	// late: what the operator has given up arrives after all, in this life or later, and must then be refused by its etag.
	late bool
	// refused: the operator waits for people, or ten minutes, and a change of its policy wakes it.
	refused bool
}

var cloudFaults = []cloudFault{
	{name: "none"},
	{name: "409", fault: gcpemulator.Fault{HTTPStatus: http.StatusConflict, Times: 2}, statuses: []int{409, 409}},
	{
		name: "429-retry-after", statuses: []int{429},
		fault: gcpemulator.Fault{HTTPStatus: http.StatusTooManyRequests, RetryAfter: 2 * time.Second, Times: 1},
	},
	{name: "429", fault: gcpemulator.Fault{HTTPStatus: http.StatusTooManyRequests, Times: 2}, statuses: []int{429, 429}},
	{name: "500", fault: gcpemulator.Fault{HTTPStatus: http.StatusInternalServerError, Times: 1}, statuses: []int{500}},
	{name: "503", fault: gcpemulator.Fault{HTTPStatus: http.StatusServiceUnavailable, Times: 2}, statuses: []int{503, 503}},
	{name: "timeout-but-done", fault: gcpemulator.Fault{After: true, Delay: forGood, Times: 1}, statuses: []int{0}, done: true},
	{name: "reset", fault: gcpemulator.Fault{Reset: true, Times: 2}, statuses: []int{0, 0}},
	{name: "slow-30s", fault: gcpemulator.Fault{Delay: 30 * time.Second, Times: 1}, statuses: []int{0}, late: true},
	{name: "403-for-a-while", fault: gcpemulator.Fault{HTTPStatus: http.StatusForbidden, Times: 1}, statuses: []int{403}, refused: true},
}

// wantEveryKillCase wants no moment of TestSurvivesKills left out of the rows.
func wantEveryKillCase(t *testing.T) {
	t.Helper()
	rows := map[string]bool{}
	for _, crash := range crashPoints {
		rows[crash.name] = true
	}
	for name := range killCases {
		if !rows[name] {
			t.Errorf("the matrix has no row %s", name)
		}
	}
}

// cloudFaults are the faults of the cell's cloud, in the order in which they hit: its column's, and where it dies over the write
// that one which keeps the answer back. A time-out of a write that is done is that very thing, so there is one of it.
func (c *cell) cloudFaults() []gcpemulator.Fault {
	var faults []gcpemulator.Fault
	if c.cloudFault.fault.Times > 0 {
		faults = append(faults, c.cloudFault.fault)
	}
	if c.crash.overWrite && !c.cloudFault.done {
		faults = append(faults, gcpemulator.Fault{After: true, Delay: forGood, Times: 1})
	}
	for i := range faults {
		faults[i].Method, faults[i].Match = writeMethod, c.resource()
	}
	return faults
}

// wantStatuses are those of all writes of the cell's policy until it has come to its end, in their order: each is sent as
// often as the cloud's fault makes it, and never again for a crash.
func (c *cell) wantStatuses() []int {
	var want []int
	if c.crash.revoking {
		want = append(want, http.StatusOK) // The grant, which nothing disturbs.
	}
	want = append(want, c.cloudFault.statuses...)
	switch {
	case c.cloudFault.done:
		return want
	case c.crash.overWrite:
		return append(want, 0) // It took effect, and nobody heard of it.
	default:
		return append(want, http.StatusOK)
	}
}
