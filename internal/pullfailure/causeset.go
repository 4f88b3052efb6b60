// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pullfailure

import "math/bits"

// causeSet is a set of causes, one bit each, in the order of causes.
type causeSet uint32

const (
	permissionDenied causeSet = 1 << iota
	unauthenticated
	imageNotFound
	repositoryNotFound
	vpcServiceControls
	apiDisabled
	rateLimited
	network
	tls
	registryUnavailable
	invalidReference
	platformMismatch
	diskPressure
	policyRejected
	credentialProvider
	corruptContent
	cancelled
	neverPull
	backOff
	_ // Ambiguous is a set of several causes, not a member.
	notPullFailure
)

// Sets that are weighed as one.
const (
	noAccess = permissionDenied | unauthenticated
	missing  = imageNotFound | repositoryNotFound
	// answered are the causes that an HTTP status may stand for.
	answered = noAccess | missing | rateLimited | registryUnavailable
	// unread are the causes that keep a runtime from reading the manifest.
	unread = answered | network | tls
	// readImage are the causes that show only once the registry has given the image away.
	readImage = platformMismatch | diskPressure | policyRejected | corruptContent
)

func (s causeSet) single() bool { return s != 0 && s&(s-1) == 0 }

// cause is the set's only member, Ambiguous for several, and empty for none.
func (s causeSet) cause() Cause {
	switch {
	case s == 0:
		return ""
	case s.single():
		return causes[bits.TrailingZeros32(uint32(s))]
	}
	return Ambiguous
}

func (s causeSet) list() []Cause {
	list := make([]Cause, 0, bits.OnesCount32(uint32(s)))
	for i, cause := range causes {
		if s&(1<<i) != 0 {
			list = append(list, cause)
		}
	}
	return list
}
