// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"context"
	"errors"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/cluster"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/source"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/iampolicy"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// records are the grants on record, by their repository.
type records map[imageref.Repository][]v1alpha1.PullAccessGrant

// readRecords lists the grants. Somebody who may not read them gets none, and so does
// somebody whose cluster has none.
func readRecords(ctx context.Context, reader client.Reader) (records, error) {
	all, err := cluster.Grants(ctx, reader, nil)
	switch {
	case errors.Is(err, cluster.ErrNoKinds) || cluster.Refused(err) || meta.IsNoMatchError(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	found := records{}
	for _, g := range all {
		repository := imageref.Of(g.Spec.Repository)
		found[repository] = append(found[repository], g)
	}
	return found, nil
}

// of returns the grant for the failure: of the account that pulls, or, if that is unknown,
// the only one that lists the workload. It returns nil if none or several match.
func (r records) of(f diagnosis.Facts, w source.Workload) *v1alpha1.PullAccessGrant {
	var found *v1alpha1.PullAccessGrant
	all := r[f.Reference.Repository]
	for i := range all {
		g := &all[i]
		matches := grantstatus.ListsWorkload(g, v1alpha1.Workload{Kind: w.Kind, Namespace: w.Namespace, Name: w.Name})
		if member := f.Puller.Member(); member != "" {
			matches = iampolicy.SameMember(g.Spec.Member, member)
		}
		if matches && found != nil {
			return nil
		}
		if matches {
			found = g
		}
	}
	return found
}
