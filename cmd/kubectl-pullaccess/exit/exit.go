// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package exit says with which code the command line ends, and nothing else.
package exit

import (
	"errors"
	"syscall"
)

// The codes are a promise to scripts; docs/kubectl.md has them.
const (
	// OK: nothing is failing, or all that was asked for was done.
	OK = 0
	// Failures: pods were found that cannot pull.
	Failures = 1
	// Usage: the call is wrong, or what it names is not there or cannot be read.
	Usage = 2
	// Unreachable: the cluster gave no answer, or refused it.
	Unreachable = 3
)

// ErrFailures ends a command that did its work and found pods that cannot pull.
// It is not shown: the output has said it.
var ErrFailures = errors.New("pods cannot pull their images")

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
	case errors.Is(err, ErrFailures):
		return Failures
	case errors.As(err, &u):
		return Unreachable
	default:
		return Usage
	}
}

// Silent tells whether err needs no words.
func Silent(err error) bool {
	return err == nil || errors.Is(err, ErrFailures) || errors.Is(err, syscall.EPIPE)
}
