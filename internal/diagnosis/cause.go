// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import "github.com/pull-access/pull-access-operator/internal/pullfailure"

// causeReason makes a reason of a cause; the zero cause is no pull failure.
func causeReason(cause pullfailure.Cause) Reason {
	if cause == "" {
		cause = pullfailure.NotPullFailure
	}
	return Reason(cause)
}

// causeHelp: where the text holds no cause or several, nobody can say whether a
// grant helps; every other cause is known not to be cured by one.
func causeHelp(cause pullfailure.Cause) Help {
	switch cause {
	case pullfailure.BackOff, pullfailure.Ambiguous, pullfailure.Cancelled:
		return HelpUnknown
	default:
		return HelpNo
	}
}

func causeActor(cause pullfailure.Cause) Actor {
	switch cause {
	case pullfailure.ImageNotFound, pullfailure.InvalidReference, pullfailure.PlatformMismatch,
		pullfailure.RepositoryNotFound, pullfailure.NeverPull, pullfailure.PolicyRejected:
		return Developer
	case pullfailure.VPCServiceControls, pullfailure.APIDisabled:
		return GoogleCloudAdmin
	case pullfailure.Unauthenticated, pullfailure.TLS, pullfailure.DiskPressure,
		pullfailure.CredentialProvider, pullfailure.Network, pullfailure.CorruptContent:
		return PlatformTeam
	default:
		return Nobody
	}
}
