// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/controllers/grant"
	"github.com/pull-access/pull-access-operator/controllers/outcome"
	"github.com/pull-access/pull-access-operator/controllers/pod"
	"github.com/pull-access/pull-access-operator/controllers/policy"
	"github.com/pull-access/pull-access-operator/controllers/restart"
	"github.com/pull-access/pull-access-operator/controllers/usage"
	"github.com/pull-access/pull-access-operator/internal/demand"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/facts"
	"github.com/pull-access/pull-access-operator/internal/gcp"
	"github.com/pull-access/pull-access-operator/internal/grantstatus"
	"github.com/pull-access/pull-access-operator/internal/limit"
	"github.com/pull-access/pull-access-operator/internal/metrics"
	"github.com/pull-access/pull-access-operator/internal/workload"
)

// addControllers wires the controllers in the order of the flow; what stands beside it comes last.
func addControllers(ctx context.Context, mgr manager.Manager, cloud *gcp.Client, home diagnosis.Cluster, o Options) error {
	now := clock.RealClock{}
	cached := gcp.NewCached(cloud, now)
	live := newBoundedReader(mgr.GetAPIReader())
	lists := lister{config: mgr.GetConfig(), http: mgr.GetHTTPClient(), scheme: mgr.GetScheme(), mapper: mgr.GetRESTMapper()}
	owners, nodes := workload.NewOwners(live), workload.NewNodes(live)
	recorder := mgr.GetEventRecorder(name)
	grants, ledger, store := outcome.NewGrants(), limit.NewLedger(), demand.New(now)
	observer := facts.New(facts.Observer{
		Client: mgr.GetClient(), Live: live, Cluster: home, Cloud: cached, Nodes: nodes, Clock: now,
	})
	if o.ReadPullSecrets {
		observer.Secrets = live
	}
	// The manager's own clients cannot watch.
	watcher, err := client.NewWithWatch(mgr.GetConfig(), client.Options{
		HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(),
	})
	if err != nil {
		return fmt.Errorf("make the client of Events: %w", err)
	}
	if err := pod.New(pod.Reconciler{
		Client: mgr.GetClient(), Live: live, Events: watcher, Observer: observer, Owners: owners, Recorder: recorder, Clock: now,
		Grants: grants,
	}).SetupWithManager(mgr); err != nil {
		return fmt.Errorf("set up failure controller: %w", err)
	}
	if err := grant.New(grant.Reconciler{
		Client: mgr.GetClient(), Cloud: cached, Recorder: recorder, Clock: now, Ledger: ledger, Grants: grants,
	}).SetupWithManager(ctx, mgr); err != nil {
		return fmt.Errorf("set up grant controller: %w", err)
	}
	if err := restart.New(restart.Reconciler{
		Client: mgr.GetClient(), Live: live, Pods: lists, Pullers: cached,
		Owners: owners, Nodes: nodes, Recorder: recorder, Clock: now, Ledger: ledger,
	}).SetupWithManager(ctx, mgr); err != nil {
		return fmt.Errorf("set up restart controller: %w", err)
	}
	if err := policy.New(policy.Reconciler{
		Client: mgr.GetClient(), Cloud: cached, Recorder: recorder, Clock: now, Ledger: ledger, Demand: store,
	}).SetupWithManager(mgr); err != nil {
		return fmt.Errorf("set up policy controller: %w", err)
	}
	if err := mgr.Add(&policy.Seeder{Client: mgr.GetClient(), Ledger: ledger, Clock: now}); err != nil {
		return fmt.Errorf("add the seeder of limits: %w", err)
	}
	if err := (&usage.Reconciler{
		Client: mgr.GetClient(), Live: lists, Nodes: nodes, Pullers: cached, Clock: now, Interval: o.UsageInterval,
	}).SetupWithManager(mgr); err != nil {
		return fmt.Errorf("set up usage controller: %w", err)
	}
	return nil
}

// standing counts what is on record. Before the cache has been filled it is empty.
func standing(ctx context.Context, cached client.Reader) metrics.Standing {
	var now metrics.Standing
	var grants v1alpha1.PullAccessGrantList
	if err := cached.List(ctx, &grants); err != nil {
		return now
	}
	for i := range grants.Items {
		if grantstatus.Granted(&grants.Items[i]) {
			now.ActiveGrants++
		}
		for j := range grants.Items[i].Status.Workloads {
			if !grantstatus.Done(grants.Items[i].Status.Workloads[j].State) {
				now.StuckWorkloads++
			}
		}
	}
	return now
}
