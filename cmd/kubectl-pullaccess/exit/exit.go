// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package exit says with which code the command line ends, and nothing else.
package exit

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
)

// The codes are a promise to scripts. What each means is said by Any, and in the
// words of each verb by the others, for its help; the user documentation has the
// same words.
const (
	// OK: nothing is failing, or all that was asked for was done.
	OK = 0
	// Failures: pods were found that cannot pull, or something that is worth a look or could not be read, or not all is
	// taken back yet.
	Failures = 1
	// Usage: the call is wrong, or what it names is not there, not in a state for it, or cannot be read.
	Usage = 2
	// Unreachable: the cluster gave no answer, or refused it.
	Unreachable = 3
)

// Meaning is what a code means to one verb.
type Meaning struct {
	Code int
	Says string
}

// Any says what the codes mean, whatever the verb.
func Any() []Meaning {
	return []Meaning{
		{OK, "nothing is failing, or all that was asked for was done"},
		{Failures, "pods were found that cannot pull, the audit has findings or something could not be read, or grants are not taken back yet"},
		{Usage, "the call is wrong, what it names is not there or in no state for it, or a file cannot be read"},
		{Unreachable, "the cluster gives no answer, or refuses it"},
	}
}

// Explain says with which codes the verb that looks at pods ends.
func Explain() []Meaning {
	return []Meaning{
		{OK, "nothing is failing"},
		{Failures, "pods were found that cannot pull"},
		{Usage, "the call is wrong, what it names is not there, or a file cannot be read"},
		{Unreachable, "the cluster gives no answer, or refuses it"},
	}
}

// Audit says with which codes the verb that looks at who can read ends. What is not
// known may be anything, so it does not end as if all were well.
func Audit() []Meaning {
	return []Meaning{
		{OK, "nothing was found, and all was read"},
		{Failures, "there are findings, or something could not be read"},
		{Usage, "the call is wrong, or the cluster has no PullAccessPolicies"},
		{Unreachable, "the cluster gives no answer, or refuses it"},
	}
}

// Classify says with which codes the verb that looks at texts ends.
func Classify() []Meaning {
	return []Meaning{
		{OK, "every line was classified, whatever it says"},
		{Usage, "the call is wrong, or a line is"},
	}
}

// Grants says with which codes the verb that shows grants ends.
func Grants() []Meaning {
	return []Meaning{
		{OK, "what there is was shown, if it is nothing too"},
		{Usage, "the call is wrong, or what it names is not there"},
		{Unreachable, "the cluster gives no answer, or refuses it"},
	}
}

// Change says with which codes the verbs end that change something at once.
func Change() []Meaning {
	return []Meaning{
		{OK, "all that was asked for was done"},
		{Usage, "the call is wrong, or what it names is not there or in no state for it"},
		{Unreachable, "the cluster gives no answer, or refuses it"},
	}
}

// Revoke says with which codes the verb ends that takes grants back.
func Revoke() []Meaning {
	return []Meaning{
		{OK, "all that was asked for has ended, or was only asked for with --wait=false"},
		{Failures, "some are not taken back yet"},
		{Usage, "the call is wrong, what it names is not there or has ended, or the question was not answered with y"},
		{Unreachable, "the cluster gives no answer, or refuses it"},
	}
}

// Help is the part of a verb's help that says with which codes it ends.
func Help(meanings []Meaning) string {
	var b strings.Builder
	b.WriteString("Exit codes:")
	for _, m := range meanings {
		fmt.Fprintf(&b, "\n  %d  %s", m.Code, m.Says)
	}
	return b.String()
}

// ErrFailures ends a command that did its work and found pods that cannot pull.
// It is not shown: the output has said it.
var ErrFailures = errors.New("pods cannot pull their images")

// ErrLeft ends a command that was to take grants back and has not seen all of
// them end. It is not shown: the output has said it.
var ErrLeft = errors.New("not all grants are taken back yet")

// said marks an error that the output has shown.
type said struct{ error }

func (s said) Unwrap() error { return s.error }

// Said marks err as shown already: it decides the code, and needs no more words.
func Said(err error) error {
	if err == nil {
		return nil
	}
	return said{err}
}

// ErrFindings ends an audit that did its work and has something to show, or could
// not read all. It is not shown either.
var ErrFindings = errors.New("the audit has findings")

// unreachable marks an error of the cluster's.
type unreachable struct{ error }

func (u unreachable) Unwrap() error { return u.error }

// Unreached marks err as the cluster's doing; everything that is not marked is the call's.
func Unreached(err error) error {
	if err == nil {
		return nil
	}
	return unreachable{err}
}

// Code is the code that a command which returned err ends with. A reader that
// has seen enough and closed the pipe is no error.
func Code(err error) int {
	var u unreachable
	switch {
	case err == nil, errors.Is(err, syscall.EPIPE):
		return OK
	case errors.As(err, &u):
		return Unreachable
	case errors.Is(err, ErrFailures), errors.Is(err, ErrFindings), errors.Is(err, ErrLeft):
		return Failures
	default:
		return Usage
	}
}

// Silent tells whether err needs no words.
func Silent(err error) bool {
	var s said
	return err == nil || errors.As(err, &s) || errors.Is(err, ErrFailures) || errors.Is(err, ErrFindings) || errors.Is(err, ErrLeft) || errors.Is(err, syscall.EPIPE)
}
