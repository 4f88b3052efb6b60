// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package limit bounds how much is done under one policy in a time.
//
// It comes after the decision and before the act, and is pure. The Ledger counts for
// the whole process. The policies' status and the grants on record outlive the process,
// and a new process seeds its ledger from them. A limit denies nothing for good: what it
// holds back continues when the limit resets.
package limit

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/message"
)

const (
	// hour is the time that the limits are about.
	hour = time.Hour
	// stretch is how finely acts are counted. A stretch counts until all of it is
	// older than an hour, so that no hour ever holds more than its limit.
	stretch = 5 * time.Minute
)

// Limits are what a policy says, with every field set: the API server's defaults do
// not reach objects that are older than they are.
type Limits struct {
	GrantsPerHour, RestartsPerHour, RevocationsPerHour int
	RestartCooldown                                    time.Duration
	CircuitBreakerRepositories                         int
	CircuitBreakerWindow                               time.Duration
}

// LimitsOf reads them.
func LimitsOf(spec v1alpha1.LimitsSpec) Limits {
	return Limits{
		GrantsPerHour:              number(spec.MaxGrantsPerHour, v1alpha1.DefaultMaxGrantsPerHour),
		RestartsPerHour:            number(spec.MaxRestartsPerHour, v1alpha1.DefaultMaxRestartsPerHour),
		RevocationsPerHour:         number(spec.MaxRevocationsPerHour, v1alpha1.DefaultMaxRevocationsPerHour),
		RestartCooldown:            duration(spec.RestartCooldown, v1alpha1.DefaultRestartCooldown),
		CircuitBreakerRepositories: number(spec.CircuitBreaker.MaxRepositories, v1alpha1.DefaultCircuitBreakerRepositories),
		CircuitBreakerWindow:       duration(spec.CircuitBreaker.Window, v1alpha1.DefaultCircuitBreakerWindow),
	}
}

func number(said int32, otherwise int) int {
	if said == 0 {
		return otherwise
	}
	return int(said)
}

func duration(said *metav1.Duration, otherwise time.Duration) time.Duration {
	if said == nil {
		return otherwise
	}
	return said.Duration
}

// of returns the limit by its name; 0 for one that counts nothing.
func (l Limits) of(which v1alpha1.Limit) int {
	switch which {
	case v1alpha1.LimitGrants:
		return l.GrantsPerHour
	case v1alpha1.LimitRestarts:
		return l.RestartsPerHour
	case v1alpha1.LimitRevocations:
		return l.RevocationsPerHour
	default:
		return 0
	}
}

// Sentence says what a limit of the policy holds back, by which field, and until when.
func Sentence(policy string, limits Limits, reached v1alpha1.ReachedLimit) string {
	until, share := reached.ResetTime.Time, reached.Namespace != ""
	switch {
	case reached.Limit == v1alpha1.LimitGrants && share:
		return message.GrantShareReached(policy, reached.Namespace, limits.GrantsPerHour, until)
	case reached.Limit == v1alpha1.LimitGrants:
		return message.GrantLimitReached(policy, limits.GrantsPerHour, until)
	case reached.Limit == v1alpha1.LimitRestarts && share:
		return message.RestartShareReached(policy, reached.Namespace, limits.RestartsPerHour, until)
	case reached.Limit == v1alpha1.LimitRestarts:
		return message.RestartLimitReached(policy, limits.RestartsPerHour, until)
	case reached.Limit == v1alpha1.LimitRevocations:
		return message.RevocationLimitReached(policy, limits.RevocationsPerHour, until)
	default:
		return message.CircuitBreakerOpen(policy, limits.CircuitBreakerRepositories, limits.CircuitBreakerWindow, until)
	}
}
