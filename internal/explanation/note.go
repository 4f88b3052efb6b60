// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package explanation

import (
	"regexp"
	"slices"
	"strings"

	"github.com/pull-access/pull-access-operator/internal/message"
)

// Note is the explanation as the note of an Event, at most limit bytes if the sentence
// permits. It leaves out the command or the page if they do not fit.
func (e Explanation) Note(limit int) string {
	note := e.Sentence
	if next := message.NextStep(e.NextStep); e.NextStep != "" && len(note)+len(next) <= limit {
		note += next
	}
	if see := message.SeePage(e.Page); e.Page != "" && len(note)+len(see) <= limit {
		note += see
	}
	return note
}

// FromNote reads the explanation from an Event of the operator. ok is false if the reason is
// not one of Reasons. Everybody who may create Events can forge one: the next step is "" unless it
// is a command that only reads, or that a reviewer runs.
func FromNote(reason, note string) (e Explanation, ok bool) {
	if !slices.Contains(Reasons(), reason) {
		return Explanation{}, false
	}
	e = Explanation{Reason: reason, Page: page(reason)}
	e.Help, e.Actor, _ = HelpAndActor(reason)
	e.Sentence = strings.TrimSuffix(note, message.SeePage(e.Page))
	if i := strings.LastIndex(e.Sentence, message.NextStep("")); i >= 0 {
		if command := e.Sentence[i+len(message.NextStep("")):]; isHarmless(command) {
			e.NextStep = command
		}
		e.Sentence = e.Sentence[:i]
	}
	return e, true
}

// harmless are the commands that are taken from an Event.
var harmless = []*regexp.Regexp{
	regexp.MustCompile(`^kubectl pullaccess (approve|resume|grants) ` + namePattern + `( -o terraform)?$`),
	regexp.MustCompile(`^kubectl (edit|describe) (pullaccesspolicy|node|namespace) ` + namePattern + `$`),
	regexp.MustCompile(`^` + regexp.QuoteMeta(message.ListPoliciesCommand) + `$`),
	regexp.MustCompile(`^kubectl patch pullaccesspolicy ` + namePattern + regexp.QuoteMeta(strings.TrimPrefix(message.EnforceCommand("x"), "kubectl patch pullaccesspolicy x")) + `$`),
	regexp.MustCompile(`^gcloud (artifacts repositories|artifacts docker tags|artifacts docker images|artifacts locations|compute instances|projects|billing projects) (list|describe|get-iam-policy)( ` + wordPattern + `)*$`),
	regexp.MustCompile(`^gcloud policy-intelligence troubleshoot-policy iam( ` + wordPattern + `)+$`),
}

const (
	namePattern = `[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?`
	// wordPattern is a word that no shell interprets.
	wordPattern = `[A-Za-z0-9_./:=,@%+-]+`
)

func isHarmless(command string) bool {
	return slices.ContainsFunc(harmless, func(pattern *regexp.Regexp) bool { return pattern.MatchString(command) })
}
