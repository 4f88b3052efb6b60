// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package outage gathers failures that have one reason and one remedy: a lost
// permission is one outage, however many pods it keeps from starting. It is pure.
package outage

import (
	"cmp"
	"slices"
	"strings"

	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/source"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/explanation"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

// Finding is one container that cannot pull, with its diagnosis.
type Finding struct {
	Workload  source.Workload
	Pod       string
	Container string
	Diagnosis diagnosis.Diagnosis
	// Explanation is the answer, as the operator's Event gives it.
	Explanation explanation.Explanation
	// Policy says what the policies make of a grant that helps, "" if it is not known.
	Policy string
}

// Outage is what findings have in common.
type Outage struct {
	// Finding speaks for all, with its sentence and its command: the first of them, or
	// the first that the operator will act upon, since that heals the others as well.
	Finding

	// PodCount counts the pods of all workloads.
	PodCount  int
	Workloads []Affected
	// Images, Nodes and Unknowns are those of all findings.
	Images, Nodes, Unknowns []string
}

// Affected is a workload that the outage affects.
type Affected struct {
	source.Workload `json:",inline"`

	// Pods and Containers are the names of those that cannot pull.
	Pods       []string `json:"pods"`
	Containers []string `json:"containers"`
	Images     []string `json:"images"`
	Nodes      []string `json:"nodes"`
}

// Group makes outages of findings, the largest first.
func Group(findings []Finding) []Outage {
	findings = slices.Clone(findings)
	slices.SortStableFunc(findings, inOrder)
	adopt(findings)
	var outages []*Outage
	known := map[remedy]*Outage{}
	for _, f := range findings {
		k := remedyOf(f)
		o := known[k]
		if o == nil {
			o = &Outage{Finding: f}
			known[k] = o
			outages = append(outages, o)
		}
		o.add(f)
	}
	sorted := make([]Outage, 0, len(outages))
	for _, o := range outages {
		for _, w := range o.Workloads {
			o.PodCount += len(w.Pods)
		}
		sorted = append(sorted, *o)
	}
	slices.SortStableFunc(sorted, func(a, b Outage) int { return cmp.Compare(b.PodCount, a.PodCount) })
	return sorted
}

func inOrder(a, b Finding) int {
	return cmp.Or(
		cmp.Compare(a.Workload.Namespace, b.Workload.Namespace), cmp.Compare(a.Workload.Name, b.Workload.Name),
		cmp.Compare(a.Workload.Kind, b.Workload.Kind), cmp.Compare(a.Pod, b.Pod),
	)
}

func (o *Outage) add(f Finding) {
	if f.Explanation.Actor == diagnosis.Operator && o.Explanation.Actor != diagnosis.Operator {
		o.Finding = f
	}
	// Findings come in order: those of one workload, and of one pod, one after the other.
	if n := len(o.Workloads); n == 0 || o.Workloads[n-1].Workload != f.Workload {
		o.Workloads = append(o.Workloads, Affected{Workload: f.Workload})
	}
	w := &o.Workloads[len(o.Workloads)-1]
	if n := len(w.Pods); n == 0 || w.Pods[n-1] != f.Pod {
		w.Pods = append(w.Pods, f.Pod)
	}
	w.Containers = with(w.Containers, f.Container)
	image, node := f.Diagnosis.Facts.Image, f.Diagnosis.Facts.Puller.Node
	w.Images, o.Images = with(w.Images, image), with(o.Images, image)
	w.Nodes, o.Nodes = with(w.Nodes, node), with(o.Nodes, node)
	for _, unknown := range f.Diagnosis.Unknowns {
		o.Unknowns = with(o.Unknowns, unknown)
	}
}

// with adds what is new and says something.
func with(list []string, s string) []string {
	if s == "" || slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// adopt gives a container whose text holds no cause the diagnosis of another of
// the same workload and image: the kubelet says the cause at each attempt only,
// so of many pods some are always between two.
func adopt(findings []Finding) {
	type same struct {
		source.Workload
		image string
	}
	of := func(f Finding) same { return same{f.Workload, f.Diagnosis.Facts.Image} }
	told := map[same]Finding{}
	for _, f := range findings {
		if _, ok := told[of(f)]; !ok && !silent(f) {
			told[of(f)] = f
		}
	}
	for i, f := range findings {
		if sibling, ok := told[of(f)]; ok && silent(f) {
			node := f.Diagnosis.Facts.Puller.Node
			findings[i].Diagnosis, findings[i].Explanation, findings[i].Policy = sibling.Diagnosis, sibling.Explanation, sibling.Policy
			findings[i].Diagnosis.Facts.Puller.Node = node
		}
	}
}

func silent(f Finding) bool {
	return f.Diagnosis.Facts.Cause.Cause == pullfailure.BackOff && f.Explanation.Reason == string(f.Diagnosis.Reason)
}

// remedy is what makes two findings one outage: the same would heal both.
type remedy struct {
	reason string
	// subject is what the remedy changes: an image, a repository, a registry, a node.
	subject string
	// puller is the one who was refused.
	puller string
}

func remedyOf(f Finding) remedy {
	d := f.Diagnosis
	k := remedy{reason: f.Explanation.Reason, puller: d.Facts.Puller.Email}
	switch diagnosis.Reason(k.reason) {
	case diagnosis.Reason(pullfailure.ImageNotFound), diagnosis.Reason(pullfailure.InvalidReference),
		diagnosis.Reason(pullfailure.PlatformMismatch), diagnosis.Reason(pullfailure.CorruptContent),
		diagnosis.Reason(pullfailure.PolicyRejected), diagnosis.Reason(pullfailure.NeverPull):
		k.subject, k.puller = d.Facts.Image, ""
	case diagnosis.Reason(pullfailure.DiskPressure), diagnosis.SandboxImage, diagnosis.NoServiceAccount, diagnosis.ScopesMissing:
		k.subject = cmp.Or(d.Facts.Puller.Pool, d.Facts.Puller.Node)
	case diagnosis.PullSecretUsed:
		k.subject = f.Workload.Namespace + " " + Subject(d.Facts) + " " + secretNames(d.Facts.Puller)
	case diagnosis.FederatedPuller:
		k.subject = f.Workload.Namespace + " " + Subject(d.Facts) + " " + d.Facts.Puller.Account
	case decision.ReasonNamespaceNotSelected:
		k.subject = f.Workload.Namespace + " " + Subject(d.Facts)
	default:
		k.subject = Subject(d.Facts)
	}
	if slices.Contains(decision.Reasons(), k.reason) {
		k.subject += " " + f.Explanation.NextStep // It names the policy.
	}
	return k
}

// Subject is the repository that the image is in, or else its registry.
func Subject(f diagnosis.Facts) string {
	switch {
	case !f.Reference.Repository.IsZero():
		return f.Reference.Repository.String()
	case f.Reference.Registry != "":
		return f.Reference.Registry
	default:
		return f.Image
	}
}

func secretNames(p diagnosis.Puller) string {
	var names []string
	for _, s := range p.Secrets {
		names = append(names, s.Name)
	}
	return strings.Join(names, ",")
}
