// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import "testing"

// TestCachesFitIntoMemory fills each cache with the largest entries. All must fit into the
// operator's memory limit of 256 MB.
func TestCachesFitIntoMemory(t *testing.T) {
	const kilobyte, most = 1 << 10, 16 << 20
	// An image or repository has at most 1 KB of names, and an answer about 512 bytes.
	for name, bytes := range map[string]int{
		"repositories":      maxRepositories * 2 * kilobyte,
		"accesses":          maxAccesses * 2 * kilobyte,
		"contents":          maxContents * 2 * kilobyte,
		"accounts of nodes": maxAccounts * kilobyte,
		"groups":            maxGroups * kilobyte,
		"roles":             maxRoles * 8 * kilobyte,
		"clusters":          maxClusters * 256 * kilobyte,
		"project numbers":   maxNumbers * kilobyte,
		"lists":             maxLists * maxNames * kilobyte / 4,
		"IAM policies":      maxPolicies * 150 * kilobyte,
	} {
		if bytes > most {
			t.Errorf("%s take up to %d MB, want at most %d", name, bytes>>20, most>>20)
		}
	}
}
