// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package report shows outages: as a table with what to do below it, and as a
// document for programs. All that it shows is fit for a terminal.
package report

import (
	"strings"
	"unicode"

	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/outage"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/source"
)

// Version is the version of the document. Fields may be added to it; what is
// there keeps its name and its meaning.
const Version = "v1"

// Document is all that explain has found, in the form of -o json and -o yaml.
type Document struct {
	Version string `json:"version"`
	// PodCount is how many pods cannot pull an image.
	PodCount int      `json:"podCount"`
	Outages  []Outage `json:"outages"`
	// Notes say what could not be read at all.
	Notes []string `json:"notes"`
}

// Outage is pods that cannot pull for one reason.
type Outage struct {
	Reason string `json:"reason"`
	// Cause is what the text says by itself.
	Cause string `json:"cause"`
	// Candidates are the causes that the text leaves open.
	Candidates []string `json:"candidates"`
	// GrantHelps is Yes, No or Unknown.
	GrantHelps string `json:"grantHelps"`
	// Actor is who must act.
	Actor    string `json:"actor"`
	Sentence string `json:"sentence"`
	// Command is what a person can paste next.
	Command string `json:"command"`
	// Page explains the reason.
	Page string `json:"page"`
	// Policy is what the policies make of a grant, where it helps and they were read. A
	// denial is part of Sentence too.
	Policy string `json:"policy"`
	// Evidence is the span of the kubelet's text that the cause rests on.
	Evidence string `json:"evidence"`
	// Repository is PROJECT/LOCATION/NAME, "" if the image is not in Artifact Registry.
	Repository string `json:"repository"`
	Registry   string `json:"registry"`
	// Puller is the service account that was refused, "" if it is not known.
	Puller    string            `json:"puller"`
	PodCount  int               `json:"podCount"`
	Workloads []outage.Affected `json:"workloads"`
	Images    []string          `json:"images"`
	Nodes     []string          `json:"nodes"`
	// Unknown names each fact that is not known, and why.
	Unknown []string `json:"unknown"`
}

// New makes a document that is fit to be shown.
func New(outages []outage.Outage, notes []string) Document {
	d := Document{Version: Version, Outages: []Outage{}, Notes: CleanAll(notes)}
	pods := map[string]bool{}
	for i := range outages {
		d.Outages = append(d.Outages, outageOf(&outages[i]))
		for _, w := range outages[i].Workloads {
			for _, p := range w.Pods {
				pods[w.Namespace+"/"+p] = true
			}
		}
	}
	d.PodCount = len(pods)
	return d
}

func outageOf(o *outage.Outage) Outage {
	facts := o.Diagnosis.Facts
	shown := Outage{
		Reason: o.Explanation.Reason, Cause: string(facts.Cause.Cause), GrantHelps: o.Explanation.Help.String(),
		Actor: string(o.Explanation.Actor), Sentence: Clean(o.Explanation.Sentence), Command: Clean(o.Explanation.NextStep),
		Page: o.Explanation.Page, Policy: Clean(o.Policy), Evidence: Clean(facts.Cause.Evidence),
		Registry: Clean(facts.Reference.Registry), Puller: Clean(facts.Puller.Email), PodCount: o.PodCount,
		Candidates: []string{}, Workloads: []outage.Affected{}, Images: CleanAll(o.Images), Nodes: CleanAll(o.Nodes), Unknown: CleanAll(o.Unknowns),
	}
	for _, c := range facts.Cause.Candidates {
		shown.Candidates = append(shown.Candidates, string(c))
	}
	if !facts.Reference.Repository.IsZero() {
		shown.Repository = Clean(facts.Reference.Repository.String())
	}
	for _, w := range o.Workloads {
		shown.Workloads = append(shown.Workloads, outage.Affected{
			Workload: source.Workload{Namespace: Clean(w.Namespace), Kind: Clean(w.Kind), Name: Clean(w.Name)},
			Pods:     CleanAll(w.Pods), Containers: CleanAll(w.Containers),
			Images: CleanAll(w.Images), Nodes: CleanAll(w.Nodes),
		})
	}
	return shown
}

// Clean takes out what a terminal would obey instead of show: texts from the
// cluster, the cloud and files are other people's.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// CleanAll is Clean of each; it is never nil, so that a document shows a list.
func CleanAll(list []string) []string {
	cleaned := make([]string, 0, len(list))
	for _, s := range list {
		cleaned = append(cleaned, Clean(s))
	}
	return cleaned
}
