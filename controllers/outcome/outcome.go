// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package outcome is how a pass ends: it writes the status of an object, has the passes
// that write the same one follow each other, and turns the end into what the queue does
// next.
//
// It serves all controllers and knows none of them.
package outcome

import (
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// again is when a pass that was overtaken by another write is repeated: by then
// the cache has usually seen that write.
const again = 200 * time.Millisecond

// Of returns what the queue shall do. That somebody else wrote first is no error:
// the cache was behind, and the pass is repeated without a word. Every other
// error is logged and retried with backoff.
func Of(result reconcile.Result, err error) (reconcile.Result, error) {
	switch {
	case err == nil:
		return result, nil
	case overtaken(err):
		return reconcile.Result{RequeueAfter: again}, nil
	default:
		return reconcile.Result{}, err
	}
}

// overtaken tells whether err is about nothing but other writes: of errors that
// were joined, each has to be.
func overtaken(err error) bool {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range joined.Unwrap() {
			if !overtaken(one) {
				return false
			}
		}
		return true
	}
	return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err)
}

// MayHaveLanded tells whether a write that ended with err may have taken effect all the
// same: its answer was lost, or does not say.
func MayHaveLanded(err error) bool {
	return apierrors.ReasonForError(err) == "" || apierrors.IsTimeout(err) || apierrors.IsServerTimeout(err) || apierrors.IsInternalError(err) ||
		apierrors.IsServiceUnavailable(err)
}
