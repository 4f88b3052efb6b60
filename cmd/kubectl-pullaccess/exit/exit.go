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

// The codes are a promise to scripts. What each means is said by Explain, Audit and
// Classify, for the help of the verbs; the user documentation has the same words.
const (
	// OK: nothing is failing, or all that was asked for was done.
	OK = 0
	// Failures: pods were found that cannot pull, or something that is worth a look.
	Failures = 1
	// Usage: the call is wrong, or what it names is not there or cannot be read.
	Usage = 2
	// Unreachable: the cluster gave no answer, or refused it.
	Unreachable = 3
)

// Meaning is what a code means to one verb.
type Meaning struct {
	Code int
	Says string
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
	case errors.Is(err, ErrFailures), errors.Is(err, ErrFindings):
		return Failures
	case errors.As(err, &u):
		return Unreachable
	default:
		return Usage
	}
}

// Silent tells whether err needs no words.
func Silent(err error) bool {
	return err == nil || errors.Is(err, ErrFailures) || errors.Is(err, ErrFindings) || errors.Is(err, syscall.EPIPE)
}
