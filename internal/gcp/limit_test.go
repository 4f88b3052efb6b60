// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcp

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/pull-access/pull-access-operator/internal/iampolicy"
)

// crowded is a policy of so many principals: people in two bindings each, a group,
// an account that was deleted and nodes. Every occurrence counts, whoever it is.
func crowded(principals int) *iampb.Policy {
	var people []string
	for i := range 600 {
		people = append(people, fmt.Sprintf("user:p%d@example.com", i))
	}
	readers := []string{"group:dev@example.com", "deleted:serviceAccount:old@acme.iam.gserviceaccount.com?uid=7"}
	for i := range principals - 2*len(people) - len(readers) {
		readers = append(readers, fmt.Sprintf("user:r%d@example.com", i))
	}
	return &iampb.Policy{Bindings: []*iampb.Binding{
		{Role: "roles/artifactregistry.writer", Members: people},
		{Role: iampolicy.Role, Members: readers},
		{Role: "roles/artifactregistry.admin", Members: people},
	}}
}

// TestPrepareStopsWhereGoogleWould goes by one member each to the limit and beyond.
func TestPrepareStopsWhereGoogleWould(t *testing.T) {
	exchange := iampolicy.Edit{Add: []string{batchMember}, Remove: []string{nodesMember}}
	both := iampolicy.Edit{Add: []string{nodesMember, batchMember}}
	for name, tc := range map[string]struct {
		there    int
		nodes    bool
		edit     iampolicy.Edit
		wantErr  error
		want     int
		wantSets int
		why      string
	}{
		"to 1499":                    {there: 1498, edit: add, want: 1499, wantSets: 1, why: "there is room for two"},
		"to 1500":                    {there: 1499, edit: add, want: 1500, wantSets: 1, why: "the limit itself is allowed"},
		"to 1501":                    {there: 1500, edit: add, want: 1500, wantErr: iampolicy.ErrTooManyPrincipals, why: "nothing is sent that Google refuses"},
		"there already":              {there: 1499, nodes: true, edit: add, want: 1500, why: "nothing is to be written"},
		"two, with room for one":     {there: 1499, edit: both, want: 1499, wantErr: iampolicy.ErrTooManyPrincipals, why: "an edit is done or not: its caller tries one by one"},
		"two, of which one is there": {there: 1498, nodes: true, edit: both, want: 1500, wantSets: 1, why: "who is there takes no more room"},
		"one for another":            {there: 1499, nodes: true, edit: exchange, want: 1500, wantSets: 1, why: "it does not grow"},
		"out of a full one":          {there: 1499, nodes: true, edit: remove, want: 1499, wantSets: 1, why: "it shrinks"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGoogle(t)
			before := crowded(tc.there)
			if tc.nodes {
				before.Bindings[1].Members = append(before.Bindings[1].Members, nodesMember)
			}
			g.SetPolicy(services.ResourceName(), before)
			_, err := g.edit(t, tc.edit)
			if !errors.Is(err, tc.wantErr) {
				t.Fatalf("got error %v, want %v: %s", err, tc.wantErr, tc.why)
			}
			after := g.Policy(services.ResourceName())
			got := 0
			for _, binding := range after.GetBindings() {
				got += len(binding.GetMembers())
			}
			if got != tc.want || g.sets() != tc.wantSets {
				t.Errorf("%d principals after %d writes, want %d and %d: %s", got, g.sets(), tc.want, tc.wantSets, tc.why)
			}
			foreign := func(p *iampb.Policy) []*iampb.Binding {
				return []*iampb.Binding{p.GetBindings()[0], p.GetBindings()[2]}
			}
			if diff := cmp.Diff(foreign(before), foreign(after), protocmp.Transform()); diff != "" {
				t.Errorf("other bindings were touched (-want +got)\n%s", diff)
			}
		})
	}
}

// TestGoogleCountsAsWeDo sends what no edit would: a policy of 1,501 principals.
func TestGoogleCountsAsWeDo(t *testing.T) {
	g := newGoogle(t)
	for _, principals := range []int{iampolicy.MaxPrincipals, iampolicy.MaxPrincipals + 1} {
		policy := crowded(principals)
		policy.Etag = g.Policy(services.ResourceName()).GetEtag()
		_, f := g.client.setIAMPolicy(t.Context(), services, policy, "")
		if principals <= iampolicy.MaxPrincipals {
			if f != nil {
				t.Errorf("%d principals are refused: %v", principals, f)
			}
			continue
		}
		if f == nil || f.kind != invalid || f.uncertain || !strings.Contains(f.Detail(), "1501") {
			t.Errorf("%d principals: got %v, want a refusal that names their number", principals, f)
		}
	}
	if got := g.readers(); !slices.Equal(got, crowded(iampolicy.MaxPrincipals).Bindings[1].Members) {
		t.Errorf("%d readers are stored, want those of the policy that was accepted", len(got))
	}
}
