// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster && faults

package e2e

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// TestFaults is the matrix of crash points, faults of Google's answers and faults of the API server. Each cell is a failure
// on a site of its own, and has to come to the same end by itself. Of one life, with its one fault of Google's answers and of
// the API server, all crash points are tried at once; those that do not crash have another, with all of Google's faults.
func TestFaults(t *testing.T) {
	blocks, err := chosenFaults()
	if err != nil {
		t.Fatal(err)
	}
	wantEveryKillCase(t)
	l := newLab(t)
	l.cloud.AddServiceAccount(builder)
	l.start(t, node{name: "slow", backoff: slow})
	m := &matrix{held: map[coordinates]bool{}}
	defer m.print(os.Stdout)
	for _, api := range blocks {
		m.blocks = append(m.blocks, api.name)
		t.Run(api.name, func(t *testing.T) {
			t.Run("no-crash", func(t *testing.T) { l.live(t, m, api, nil) })
			for i := range cloudFaults {
				t.Run(cloudFaults[i].name, func(t *testing.T) { l.live(t, m, api, &cloudFaults[i]) })
			}
		})
	}
}

// live has one life: with a fault of Google's answers the operator dies, and without one it lives on, each cell having
// another fault.
func (l *lab) live(t *testing.T, m *matrix, api clusterFault, cloud *cloudFault) {
	t.Helper()
	began := time.Now()
	f := &life{lab: l, api: api, before: len(l.cloud.Requests())}
	t.Cleanup(func() { clearCluster(t) })
	t.Cleanup(l.cloud.ClearFaults)
	m.lives++
	f.layOut(t, m, cloud)
	f.begin(t)
	f.tempt(t)
	if cloud != nil {
		f.die(t)
	} else {
		f.getHalfway(t)
	}
	f.strike(t)
	f.await(t, "is over", f.cells, f.isOver)
	held := 0
	for _, c := range f.cells {
		ok := t.Run(c.at.crash+"-"+c.at.cloud, func(t *testing.T) {
			c.check(t)
			if t.Failed() {
				t.Log("this is the cell:", c.at)
			}
		})
		if m.note(c.at, ok); ok {
			held++
		}
	}
	f.nothingElse(t)
	fmt.Fprintf(os.Stdout, "%s: %d of %d cells held, in %s\n", t.Name(), held, len(f.cells), time.Since(began).Round(time.Second))
}

// layOut makes the sites of the life's cells with their policies, and has no cell count as held that is not tried to its end.
func (f *life) layOut(t *testing.T, m *matrix, cloud *cloudFault) {
	t.Helper()
	add := func(crash crashPoint, cloud cloudFault) {
		p := coordinates{crash.name, cloud.name, f.api.name}
		m.note(p, false)
		f.cells = append(f.cells, f.newCell(t, fmt.Sprintf("life-%02d-%02d", m.lives, len(f.cells)+1), p, crash, cloud))
	}
	if cloud == nil {
		for i, fault := range cloudFaults {
			halfway := []*gate{intentGate, restartGate()}
			add(crashPoint{name: noCrash, gate: halfway[i%len(halfway)]}, fault)
		}
	} else {
		for _, crash := range crashPoints {
			add(crash, *cloud)
		}
	}
	for _, c := range f.cells {
		create(t, c.policy())
	}
	f.decoy = f.site(t, fmt.Sprintf("life-%02d-decoy", m.lives), nodeProject)
	policy := f.decoy.policy()
	policy.Spec.Repositories = []v1alpha1.RepositoryPattern{{Project: nodeProject, Location: location, Name: "another"}}
	create(t, policy)
}

// tempt has a pod fail that no policy covers, and waits until the operator has said so.
func (f *life) tempt(t *testing.T) {
	t.Helper()
	create(t, f.decoy.deployment("slow", 1))
	event(t, f.decoy.namespace, "Pod", "", "RepositoryNotListed")
}

// getHalfway has all cells fail, and returns when the operator is about to write for each of them: the policy for one half,
// the restart for the other.
func (f *life) getHalfway(t *testing.T) {
	t.Helper()
	f.approach(t, f.cells)
	f.await(t, "is halfway", f.cells, isHeldUp)
}
