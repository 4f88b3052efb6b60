// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package outage

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/source"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/explanation"
	"github.com/pull-access/pull-access-operator/internal/imageref"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

const services = "us-central1-docker.pkg.dev/acme-prod-417/services/"

// finding is one as the judgement makes it from these facts.
func finding(workload, pod, image string, cause pullfailure.Cause, change ...func(*diagnosis.Facts)) Finding {
	facts := diagnosis.Facts{Image: image, Cause: pullfailure.Verdict{Cause: cause}}
	facts.Reference, facts.ReferenceErr = imageref.Parse(image)
	for _, c := range change {
		c(&facts)
	}
	return Finding{
		Workload: source.Workload{Namespace: "shop", Kind: "Deployment", Name: workload}, Pod: pod, Container: "app",
		Diagnosis: diagnosis.Diagnose(facts), Explanation: explanation.Of(explanation.Input{Diagnosis: diagnosis.Diagnose(facts)}),
	}
}

func on(node, pool string) func(*diagnosis.Facts) {
	return func(f *diagnosis.Facts) { f.Puller.Node, f.Puller.Pool = node, pool }
}

func inNamespace(namespace string, f Finding) Finding {
	f.Workload.Namespace = namespace
	return f
}

type row struct {
	Reason          string
	Pods, Workloads int
}

func TestGroup(t *testing.T) {
	const (
		denied  = pullfailure.PermissionDenied
		absent  = pullfailure.ImageNotFound
		silence = pullfailure.BackOff
		network = pullfailure.Network
		disk    = pullfailure.DiskPressure
	)
	anonymous := string(pullfailure.Unauthenticated)
	tests := map[string]struct {
		findings []Finding
		want     []row
		why      string
	}{
		"nothing": {nil, []row{}, ""},
		"one repository, two workloads, two images": {
			[]Finding{finding("a", "a-1", services+"a:1", denied), finding("a", "a-2", services+"a:1", denied), finding("b", "b-1", services+"b:1", denied)},
			[]row{{"DenialUnclear", 3, 2}},
			"one access is lost",
		},
		"two repositories": {
			[]Finding{finding("a", "a-1", services+"a:1", denied), finding("a", "a-1", "us-docker.pkg.dev/acme/other/a:1", denied)},
			[]row{{"DenialUnclear", 1, 1}, {"DenialUnclear", 1, 1}},
			"two accesses",
		},
		"two missing images": {
			[]Finding{finding("a", "a-1", services+"a:1", absent), finding("a", "a-2", services+"a:2", absent)},
			[]row{{"ImageNotFound", 1, 1}, {"ImageNotFound", 1, 1}},
			"each is corrected by itself",
		},
		"one registry is out of reach": {
			[]Finding{finding("a", "a-1", "ghcr.io/x/a:1", network), finding("b", "b-1", "ghcr.io/y/b:1", network), finding("c", "c-1", "quay.io/c:1", network)},
			[]row{{"Network", 2, 2}, {"Network", 1, 1}},
			"",
		},
		"one full disk": {
			[]Finding{finding("a", "a-1", "ghcr.io/x/a:1", disk, on("n1", "")), finding("b", "b-1", services+"b:1", disk, on("n1", "")), finding("b", "b-2", services+"b:1", disk, on("n2", ""))},
			[]row{{"DiskPressure", 2, 2}, {"DiskPressure", 1, 1}},
			"the node is the subject",
		},
		"between two attempts": {
			[]Finding{finding("a", "a-1", services+"a:1", silence), finding("a", "a-2", services+"a:1", denied), finding("b", "b-1", services+"b:1", silence)},
			[]row{{"DenialUnclear", 2, 1}, {"BackOff", 1, 1}},
			"a sibling's text speaks for it, another workload's does not",
		},
		"another image of the workload": {
			[]Finding{finding("a", "a-1", services+"a:1", denied), finding("a", "a-1", services+"sidecar:1", silence)},
			[]row{{"DenialUnclear", 1, 1}, {"BackOff", 1, 1}},
			"",
		},
		"same names in two namespaces": {
			[]Finding{finding("a", "a-1", services+"a:1", denied), inNamespace("pay", finding("a", "a-1", services+"a:1", denied))},
			[]row{{"DenialUnclear", 2, 2}},
			"",
		},
		"the largest first": {
			[]Finding{finding("a", "a-1", "ghcr.io/a:1", pullfailure.Unauthenticated), finding("z", "z-1", services+"a:1", denied), finding("z", "z-2", services+"a:1", denied)},
			[]row{{"DenialUnclear", 2, 1}, {anonymous, 1, 1}},
			"",
		},
		"two containers of a pod": {
			[]Finding{finding("a", "a-1", services+"a:1", denied), finding("a", "a-1", services+"b:1", denied)},
			[]row{{"DenialUnclear", 1, 1}},
			"it is one pod",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := []row{}
			for _, o := range Group(tc.findings) {
				got = append(got, row{string(o.Diagnosis.Reason), o.PodCount, len(o.Workloads)})
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.why, diff)
			}
		})
	}
}

// TestGroupIsOneRowForManyPods: the order in which findings come does not matter.
func TestGroupIsOneRowForManyPods(t *testing.T) {
	var findings []Finding
	for i := range 300 {
		cause := pullfailure.PermissionDenied
		if i%2 == 0 {
			cause = pullfailure.BackOff
		}
		n := (i * 7) % 300
		findings = append(findings, finding(fmt.Sprintf("w%d", n%3), fmt.Sprintf("p%d", n), services+"a:1", cause, on(fmt.Sprintf("n%d", n%50), "")))
	}
	got := Group(findings)
	if len(got) != 1 || got[0].PodCount != 300 || len(got[0].Workloads) != 3 || len(got[0].Nodes) != 50 || len(got[0].Images) != 1 {
		t.Fatalf("got %d outages: %+v", len(got), got)
	}
	for _, w := range got[0].Workloads {
		if len(w.Pods) != 100 {
			t.Errorf("workload %s has %d pods", w, len(w.Pods))
		}
	}
}

// TestGroupSpeaksForTheGrant: what the operator will grant for one workload heals all
// of the outage, so it acts, although no policy covers the first of them.
func TestGroupSpeaksForTheGrant(t *testing.T) {
	first, second := finding("a", "a-1", services+"a:1", pullfailure.PermissionDenied), finding("b", "b-1", services+"a:1", pullfailure.PermissionDenied)
	first.Explanation.Actor, first.Policy = diagnosis.PlatformTeam, "no"
	second.Explanation.Actor, second.Policy = diagnosis.Operator, "yes"
	got := Group([]Finding{first, second})
	if len(got) != 1 || got[0].Explanation.Actor != diagnosis.Operator || got[0].Policy != "yes" || got[0].Workload != second.Workload || got[0].PodCount != 2 {
		t.Errorf("got %+v", got)
	}
}

// TestGroupAdoptsAll: what stands in for a silent container says who acts, too.
func TestGroupAdoptsAll(t *testing.T) {
	silent, told := finding("a", "a-1", services+"a:1", pullfailure.BackOff), finding("a", "a-2", services+"a:1", pullfailure.PermissionDenied)
	silent.Explanation.Actor = diagnosis.Nobody
	told.Explanation.Actor, told.Policy = diagnosis.PlatformTeam, "no"
	got := Group([]Finding{silent, told})
	if len(got) != 1 || got[0].Explanation.Actor != diagnosis.PlatformTeam || got[0].Policy != "no" {
		t.Errorf("got %+v", got)
	}
}

// TestGroupLeavesItsInput: findings that adopt are copies.
func TestGroupLeavesItsInput(t *testing.T) {
	findings := []Finding{finding("b", "b-1", services+"a:1", pullfailure.BackOff), finding("b", "b-2", services+"a:1", pullfailure.PermissionDenied)}
	Group(findings)
	if got := findings[0].Diagnosis.Reason; got != "BackOff" {
		t.Errorf("the first has become %s", got)
	}
}
