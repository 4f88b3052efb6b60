// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/cluster"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/source"
	"github.com/pull-access/pull-access-operator/internal/audit"
	"github.com/pull-access/pull-access-operator/internal/decision"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

// cloud is what is asked of Google Cloud. Nothing fails: what cannot be read says why.
type cloud interface {
	Repositories(ctx context.Context, project, location string) ([]imageref.Repository, diagnosis.Obstacle)
	Readers(ctx context.Context, repository imageref.Repository) audit.Access
	ProjectReaders(ctx context.Context, project string) audit.Access
}

var errNoPolicies = errors.New("the cluster has no PullAccessPolicies: install the operator, or name what to look at by --repository=PROJECT/LOCATION/NAME")

// fromCluster reads policies and grants. Without the policies there is nothing to
// look at unless repositories are asked for; otherwise what is missing is noted.
func fromCluster(ctx context.Context, reader client.Reader, asked []imageref.Repository) (facts audit.Facts, notes []string, err error) {
	facts.Repositories = asked
	facts.Policies, err = cluster.Policies(ctx, reader)
	none := errors.Is(err, cluster.ErrNoKinds)
	switch answered := none || cluster.Refused(err); {
	case err != nil && !answered:
		return facts, nil, err
	case err != nil && len(asked) > 0:
		notes = append(notes, fmt.Sprintf("Which accounts policies list for nodes is not known: %v", err))
	case none:
		return facts, nil, errNoPolicies
	case err != nil:
		return facts, nil, err
	}
	facts.Grants, err = cluster.Grants(ctx, reader, nil)
	switch answered := errors.Is(err, cluster.ErrNoKinds) || cluster.Refused(err); {
	case err != nil && !answered:
		return facts, nil, err
	case err != nil:
		notes = append(notes, fmt.Sprintf("What the operator has added is not known: %v", err))
	}
	return facts, notes, nil
}

// fromCloud adds what Google Cloud says: which repositories there are, unless they
// are asked for, and who can read them.
func fromCloud(ctx context.Context, from cloud, facts *audit.Facts) (notes []string) {
	if len(facts.Repositories) == 0 {
		facts.Repositories, notes = named(ctx, from, facts)
	}
	facts.ByRepository, facts.ByProject = map[imageref.Repository]audit.Access{}, map[string]audit.Access{}
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(source.Parallel)
	projects := map[string]bool{}
	for _, r := range facts.Repositories {
		group.Go(func() error {
			access := from.Readers(ctx, r)
			mu.Lock()
			defer mu.Unlock()
			facts.ByRepository[r] = access
			return nil
		})
		if projects[r.Project] {
			continue
		}
		projects[r.Project] = true
		group.Go(func() error {
			access := from.ProjectReaders(ctx, r.Project)
			mu.Lock()
			defer mu.Unlock()
			facts.ByProject[r.Project] = access
			return nil
		})
	}
	_ = group.Wait() // None of them fails: what cannot be read says why.
	return notes
}

// place is where repositories are listed.
type place struct{ project, location string }

// named are the repositories that policies and grants name. Where a policy has a
// wildcard, those that are there are listed, and matched as the operator does.
func named(ctx context.Context, from cloud, facts *audit.Facts) (all []imageref.Repository, notes []string) {
	add := func(r imageref.Repository) {
		if !slices.Contains(all, r) {
			all = append(all, r)
		}
	}
	var listed []place
	for i := range facts.Policies {
		for _, p := range facts.Policies[i].Spec.Repositories {
			switch at := (place{p.Project, p.Location}); {
			case p.Location != "*" && !wild(p.Name):
				add(imageref.Repository{Project: p.Project, Location: p.Location, Name: p.Name})
			case !slices.Contains(listed, at):
				listed = append(listed, at)
			}
		}
	}
	for i := range facts.Grants {
		add(imageref.Of(facts.Grants[i].Spec.Repository))
	}
	for _, at := range listed {
		found, obstacle := from.Repositories(ctx, at.project, at.location)
		for _, r := range found {
			if slices.ContainsFunc(facts.Policies, func(p v1alpha1.PullAccessPolicy) bool { return decision.ListsRepository(&p, r) }) {
				add(r)
			}
		}
		if obstacle != (diagnosis.Obstacle{}) {
			notes = append(notes, fmt.Sprintf("Which repositories %s/%s has, that policies name by a wildcard, is not known: %s", at.project, at.location, obstacle.Why()))
		}
	}
	return all, notes
}

func wild(name string) bool { return name != "" && name[len(name)-1] == '*' }
