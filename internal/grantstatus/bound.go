// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grantstatus

import (
	"reflect"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
)

// Bound reports whether the status describes this object, or says nothing yet. A restored
// object has another UID than the one that its status describes.
func Bound(g *v1alpha1.PullAccessGrant) bool {
	return g.Status.UID == g.UID || reflect.ValueOf(g.Status).IsZero()
}

// Unbind discards the status of another object: what it says of origin, review and write
// is not true of this one.
func Unbind(g *v1alpha1.PullAccessGrant) {
	g.Status = v1alpha1.PullAccessGrantStatus{}
	Summarise(g)
}

// RefusedBy returns a person's denial or revocation that the record holds, "" if it holds
// none. It also counts if the status describes another object.
func RefusedBy(g *v1alpha1.PullAccessGrant) v1alpha1.ReviewDecision {
	for _, no := range []v1alpha1.ReviewDecision{v1alpha1.ReviewDenied, v1alpha1.ReviewRevoked} {
		if reviewDecision(g) == no || Ended(g) && Reason(g) == string(no) {
			return no
		}
	}
	return ""
}

// Refused returns for which reason a record ends whose annotation repeats a denial or
// revocation that its status does not hold, "" if it does not end.
func Refused(g *v1alpha1.PullAccessGrant) v1alpha1.EndReason {
	if Ended(g) || Granted(g) || RefusedBy(g) != "" {
		return ""
	}
	switch v1alpha1.ReviewDecision(g.Annotations[v1alpha1.ReviewAnnotation]) {
	case v1alpha1.ReviewDenied:
		return v1alpha1.EndDenied
	case v1alpha1.ReviewRevoked:
		return v1alpha1.EndRevoked
	default:
		return ""
	}
}
