// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package decision

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// selects: no selector, and one that makes no sense, select nothing.
func selects(selector *metav1.LabelSelector, set map[string]string) bool {
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && parsed.Matches(labels.Set(set))
}

func listsRepository(patterns []v1alpha1.RepositoryPattern, r imageref.Repository) bool {
	return !r.IsZero() && slices.ContainsFunc(patterns, func(p v1alpha1.RepositoryPattern) bool {
		return p.Project != "" && p.Project == r.Project &&
			(p.Location == "*" || p.Location == r.Location) && begins(p.Name, r.Name)
	})
}

// begins matches a name, or its beginning where the pattern ends in *.
func begins(pattern, name string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(name, prefix)
	}
	return pattern == name
}

func listsAccount(patterns []string, email string) bool {
	if email == "" {
		return false
	}
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		if domain, ok := strings.CutPrefix(pattern, "*@"); ok {
			account, of, _ := strings.Cut(email, "@")
			return account != "" && strings.HasSuffix(domain, ".iam.gserviceaccount.com") && strings.EqualFold(of, domain)
		}
		return strings.EqualFold(pattern, email)
	})
}

// hashLength is how many characters of the hash a grant's name carries: 64 bits,
// and the spec is compared besides.
const hashLength = 16

// GrantName names the one object in which all failures meet that need member on
// repository: the repository's and the account's short names for people, and a
// hash of both in full.
func GrantName(repository imageref.Repository, member string) string {
	sum := sha256.Sum256([]byte(repository.ResourceName() + "\n" + strings.ToLower(member)))
	email, _ := v1alpha1.EmailOf(member)
	account, _, _ := strings.Cut(email, "@")
	return repository.Name + "." + strings.ToLower(account) + "." + hex.EncodeToString(sum[:])[:hashLength]
}
