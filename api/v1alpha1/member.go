// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import "strings"

// memberPrefix is how IAM marks a service account among members.
const memberPrefix = "serviceAccount:"

// ServiceAccountMember writes the account as IAM writes it.
func ServiceAccountMember(email string) string { return memberPrefix + email }

// EmailOf reads the account from a member; it is false for every other member.
func EmailOf(member string) (email string, ok bool) {
	email, ok = strings.CutPrefix(member, memberPrefix)
	return email, ok && email != ""
}
