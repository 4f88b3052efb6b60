// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster && faults

package e2e

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
)

// randomSteps is how many steps a run has on average, if -rapid.steps does not say otherwise.
const randomSteps = 12

// TestRandomRuns has people, other writers, faults and crashes come in any order, and wants after every step what must hold
// always, and at the end of every run that all has come to rest.
//
// -rapid.checks is the number of runs, -rapid.steps that of steps in a run, on average. The seed is printed at the start;
// -rapid.seed=SEED draws the same steps again. What the operator does between two steps is not drawn, so a run that failed
// may need some more with its seed until it fails again.
func TestRandomRuns(t *testing.T) {
	seedRapid(t)
	w := newWorld(t)
	defer w.tellTotals()
	rapid.Check(t, func(rt *rapid.T) {
		r := w.begin(rt)
		r.furnish(rt)
		rt.Repeat(r.actions())
		r.end(rt)
	})
}

// furnish has most sites begin with a policy and with pods that fail under it, and their repositories with what others have
// written: there most of what can go wrong is.
func (r *randomRun) furnish(rt *rapid.T) {
	for _, p := range r.places {
		for _, edit := range foreignEdits[:rapid.IntRange(0, startingEdits).Draw(rt, "edits by others")] {
			r.front.write(p, edit.edit)
		}
		if mode := rapid.SampledFrom([]v1alpha1.PolicyMode{v1alpha1.ModeEnforce, v1alpha1.ModeEnforce, v1alpha1.ModeApprove, ""}).Draw(rt, "mode"); mode != "" {
			r.must(rt, r.createPolicy(p, mode, 20))
		}
		for _, n := range rapid.SampledFrom([][]node{randomNodes[:1], randomNodes, randomNodes[1:], nil}).Draw(rt, "nodes") {
			r.must(rt, r.createDeployment(p, n))
		}
	}
}

// seedRapid chooses what the command line does not, and prints the seed before anything can fail.
func seedRapid(t *testing.T) {
	t.Helper()
	given := map[string]bool{}
	flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for name, value := range map[string]string{
		"rapid.seed":  strconv.FormatUint(1+rand.Uint64N(1<<53), 10),
		"rapid.steps": strconv.Itoa(randomSteps),
		// A seed says it all, and the tree stays clean.
		"rapid.nofailfile": "true",
	} {
		_, inEnvironment := os.LookupEnv("RAPID_" + strings.ToUpper(strings.TrimPrefix(name, "rapid.")))
		if given[name] || inEnvironment {
			continue
		}
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = fmt.Fprintf(os.Stderr, "%s: -rapid.seed=%s -rapid.checks=%s\n", t.Name(), flag.Lookup("rapid.seed").Value, flag.Lookup("rapid.checks").Value)
}

// actions are the steps of a run; the one without a name follows each.
func (r *randomRun) actions() map[string]func(*rapid.T) {
	actions := map[string]func(*rapid.T){
		"deployment is made":     r.deploy,
		"pod is made anew":       r.remakePod,
		"policy is made":         r.makePolicy,
		"policy changes mode":    r.changeMode,
		"policy changes lists":   r.changeLists,
		"policy is paused":       r.pause,
		"policy is deleted":      r.deletePolicy,
		"person speaks":          r.review,
		"grant is deleted":       r.deleteGrant,
		"others write the cloud": r.writeForeign,
		"others take ours out":   r.takeOut,
		"others write records":   r.touchRecords,
		"cloud has a fault":      r.injectFault,
		"cloud has no fault":     r.clearFaults,
		"operator is killed":     r.killOperator,
		"operator is started":    r.startOperator,
		"all rests":              r.rest,
	}
	for name, action := range actions {
		actions[name] = func(rt *rapid.T) {
			r.note("%s", name)
			action(rt)
			r.happened(name)
			r.awaitSomething(rt)
		}
	}
	actions[""] = r.check
	return actions
}

func (r *randomRun) drawPlace(rt *rapid.T) *place {
	p := rapid.SampledFrom(r.places).Draw(rt, "place")
	r.note("  at %s", p.repository.Name)
	return p
}

func (r *randomRun) deploy(rt *rapid.T) {
	p := r.drawPlace(rt)
	if p.deployments == maxDeployments {
		rt.SkipNow()
	}
	n := rapid.SampledFrom(randomNodes).Draw(rt, "node")
	r.must(rt, r.createDeployment(p, n))
}

func (r *randomRun) remakePod(rt *rapid.T) {
	p := r.drawPlace(rt)
	r.must(rt, r.deletePod(p))
}

func (r *randomRun) makePolicy(rt *rapid.T) {
	p := r.drawPlace(rt)
	if p.policy != nil {
		rt.SkipNow()
	}
	mode := rapid.SampledFrom([]v1alpha1.PolicyMode{v1alpha1.ModeEnforce, v1alpha1.ModeEnforce, v1alpha1.ModeApprove, v1alpha1.ModeDryRun}).Draw(rt, "mode")
	grants := rapid.SampledFrom([]int32{1, 40}).Draw(rt, "maxGrantsPerHour")
	r.must(rt, r.createPolicy(p, mode, grants))
}

func (r *randomRun) changeMode(rt *rapid.T) {
	p := r.drawPlace(rt)
	mode := rapid.SampledFrom([]v1alpha1.PolicyMode{v1alpha1.ModeEnforce, v1alpha1.ModeApprove, v1alpha1.ModeDryRun}).Draw(rt, "mode")
	r.must(rt, r.editPolicy(rt, p, func(spec *v1alpha1.PullAccessPolicySpec) { spec.Mode = mode }))
}

// changeLists narrows the policy, or widens it again.
func (r *randomRun) changeLists(rt *rapid.T) {
	p := r.drawPlace(rt)
	accounts := rapid.SampledFrom([][]string{
		{randomNodes[0].account, randomNodes[1].account}, {randomNodes[0].account}, {randomNodes[1].account},
	}).Draw(rt, "accounts")
	elsewhere := rapid.SampledFrom([]bool{false, false, true}).Draw(rt, "repositories elsewhere")
	r.must(rt, r.editPolicy(rt, p, func(spec *v1alpha1.PullAccessPolicySpec) {
		spec.NodeServiceAccounts = accounts
		spec.Repositories[0].Name = p.repository.Name
		if elsewhere {
			spec.Repositories[0].Name = p.repository.Name + "-elsewhere"
		}
	}))
}

func (r *randomRun) pause(rt *rapid.T) {
	p := r.drawPlace(rt)
	r.must(rt, r.editPolicy(rt, p, func(spec *v1alpha1.PullAccessPolicySpec) {
		if spec.Pause == nil {
			spec.Pause = &v1alpha1.PauseSpec{Reason: "freeze"}
		} else {
			spec.Pause = nil
		}
	}))
}

func (r *randomRun) deletePolicy(rt *rapid.T) {
	p := r.drawPlace(rt)
	if p.policy == nil {
		rt.SkipNow()
	}
	r.must(rt, r.dropPolicy(p))
}

// review has a person answer what waits, and take back what does not.
func (r *randomRun) review(rt *rapid.T) {
	p := r.drawPlace(rt)
	account := rapid.SampledFrom(randomNodes).Draw(rt, "node").account
	yes := rapid.Bool().Draw(rt, "yes")
	r.must(rt, r.speak(p, account, yes))
}

func (r *randomRun) deleteGrant(rt *rapid.T) {
	p := r.drawPlace(rt)
	account := rapid.SampledFrom(randomNodes).Draw(rt, "node").account
	r.must(rt, r.dropGrant(p, account))
}

func (r *randomRun) writeForeign(rt *rapid.T) {
	p := r.drawPlace(rt)
	edit := rapid.SampledFrom(foreignEdits).Draw(rt, "edit")
	r.note("  %s", edit.name)
	r.front.write(p, edit.edit)
}

// takeOut has somebody else remove a member that the operator has added.
func (r *randomRun) takeOut(rt *rapid.T) {
	p := r.drawPlace(rt)
	account := rapid.SampledFrom(randomNodes).Draw(rt, "node").account
	r.front.takeOut(p, v1alpha1.ServiceAccountMember(account))
}

func (r *randomRun) touchRecords(rt *rapid.T) { r.must(rt, r.touch()) }

// randomFaults are what Google may answer to a write.
var randomFaults = map[string]gcpemulator.Fault{
	"409":                   {HTTPStatus: http.StatusConflict, Status: "ABORTED"},
	"429":                   {HTTPStatus: http.StatusTooManyRequests},
	"500":                   {HTTPStatus: http.StatusInternalServerError},
	"503":                   {HTTPStatus: http.StatusServiceUnavailable},
	"403":                   {HTTPStatus: http.StatusForbidden, Message: "The caller does not have permission"},
	"reset":                 {Reset: true},
	"503 after the write":   {HTTPStatus: http.StatusServiceUnavailable, After: true},
	"reset after the write": {Reset: true, After: true},
}

func (r *randomRun) injectFault(rt *rapid.T) {
	name := rapid.SampledFrom(faultNames()).Draw(rt, "fault")
	times := rapid.SampledFrom([]int{1, 1, 2, 0}).Draw(rt, "times")
	r.note("  %s, %d times", name, times)
	fault := randomFaults[name]
	fault.Method, fault.Times = writeMethod, times
	r.cloud.InjectFault(fault)
}

func (r *randomRun) clearFaults(*rapid.T) { r.cloud.ClearFaults() }

func (r *randomRun) killOperator(rt *rapid.T) {
	if r.operator == nil {
		rt.SkipNow()
	}
	r.kill()
	r.barrier()
	grants, err := r.grants()
	r.must(rt, err)
	if slices.ContainsFunc(grants, hasOpenIntent) {
		r.happened(interruptedTotal)
	}
}

func (r *randomRun) startOperator(rt *rapid.T) {
	if r.operator != nil {
		rt.SkipNow()
	}
	r.must(rt, r.launch())
}

func (r *randomRun) rest(rt *rapid.T) {
	r.cloud.ClearFaults()
	if r.operator == nil {
		r.must(rt, r.launch())
	}
	r.must(rt, r.awaitRest())
	r.barrier()
}

// must ends the run with what was done in it, if err says that something is wrong.
func (r *randomRun) must(rt *rapid.T, err error) {
	if err == nil {
		return
	}
	r.tell(err)
	rt.Fatalf("%v", err)
}
