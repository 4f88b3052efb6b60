// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 holds the two kinds: PullAccessPolicy, by which a platform
// team says what may be opened to whom, and PullAccessGrant, the record of one
// member on one repository.
//
// It is the contract with users and imports no other package of the project.
//
// +kubebuilder:object:generate=true
// +groupName=pullaccess.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is pullaccess.dev/v1alpha1.
var GroupVersion = schema.GroupVersion{Group: "pullaccess.dev", Version: "v1alpha1"}

// AddToScheme adds the kinds to a scheme.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion,
		&PullAccessPolicy{}, &PullAccessPolicyList{},
		&PullAccessGrant{}, &PullAccessGrantList{},
	)
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
