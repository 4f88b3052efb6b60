// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"cmp"
	"slices"
	"time"

	"github.com/agnivade/levenshtein"
)

// MaxNearest bounds how many names are offered in place of a missing one.
const MaxNearest = 3

// Candidate is a tag, or an image, that exists.
type Candidate struct {
	Name    string
	Updated time.Time
}

// Nearest gives up to MaxNearest names most like wanted: those that differ in the
// fewest characters, and of these the newest first.
func Nearest(wanted string, candidates []Candidate) []string {
	type ranked struct {
		Candidate
		distance int
	}
	all := make([]ranked, 0, len(candidates))
	for _, c := range candidates {
		all = append(all, ranked{c, levenshtein.ComputeDistance(wanted, c.Name)})
	}
	slices.SortFunc(all, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), b.Updated.Compare(a.Updated), cmp.Compare(a.Name, b.Name))
	})
	var names []string
	for _, r := range all[:min(len(all), MaxNearest)] {
		names = append(names, r.Name)
	}
	return names
}
