// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/clock"

	"github.com/pull-access/pull-access-operator/hack/bench/kubelet"
	"github.com/pull-access/pull-access-operator/hack/cluster"
)

const (
	podsPerDeployment       = 20
	deploymentsPerNamespace = 10
	mostRepositories        = 20
	// stormSpread is the time over which the kubelets begin to pull.
	stormSpread = 5 * time.Second
	// stormBound is how long a storm may take from its first failure until all pods run.
	stormBound = 20 * time.Minute
	// countInterval is how often the pods are counted, noteInterval how often that is told.
	countInterval = 500 * time.Millisecond
	noteInterval  = 10 * time.Second
	// aftermath is how long what a storm has left behind may still change before it is counted.
	aftermath = 10 * time.Second
)

// shape is a storm's size.
type shape struct {
	pods, deployments, namespaces, repositories, nodes int
}

func shapeOf(pods int) shape {
	s := shape{pods: pods, deployments: pods / podsPerDeployment}
	s.namespaces = (s.deployments + deploymentsPerNamespace - 1) / deploymentsPerNamespace
	s.repositories = min(mostRepositories, s.deployments)
	// A rollout has a quarter more pods for a while.
	s.nodes = max(2*len(pools), (pods*3/2+kubelet.PodsPerNode-1)/kubelet.PodsPerNode)
	s.nodes += s.nodes % len(pools)
	return s
}

func (s shape) label() string { return fmt.Sprintf("%d pods", s.pods) }

func (s shape) namespace(i int) string { return fmt.Sprintf("team-%03d", i/deploymentsPerNamespace) }

// storm is one run of one size.
type storm struct {
	*bench
	shape
	lab      *lab
	cloud    *cloud
	kubelets *kubelet.Kubelets
	operator *program
}

// storms has one after the other, and prints them side by side: those that were measured also when a later one fails.
func (b *bench) storms(ctx context.Context) error {
	var results []*stormResult
	defer func() {
		if len(results) > 0 {
			b.show(stormTable(results, b.latency))
		}
	}()
	for _, size := range b.storm {
		r, err := b.runStorm(ctx, size)
		if err != nil {
			return err
		}
		results = append(results, r)
	}
	return nil
}

// runStorm has so many pods fail at once and counts what the operator does about it.
func (b *bench) runStorm(ctx context.Context, pods int) (*stormResult, error) {
	if err := b.makeManager(ctx); err != nil {
		return nil, err
	}
	s := &storm{bench: b, shape: shapeOf(pods)}
	b.step("A storm of %d pods: %d Deployments in %d namespaces on %d repositories, %d nodes in %d pools",
		pods, s.deployments, s.namespaces, s.repositories, s.nodes, len(pools))
	nodes := nodesFor(s.nodes)
	var err error
	if s.cloud, err = startCloud(ctx, s.repositories, nodes, b.latency); err != nil {
		return nil, err
	}
	defer s.cloud.close()
	if s.lab, err = startLab(ctx, cluster.Options{}); err != nil {
		return nil, err
	}
	defer s.lab.Stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := s.prepare(ctx, nodes); err != nil {
		return nil, err
	}
	if s.operator, err = s.lab.startOperator(ctx, b.manager, s.cloud.URL, "manager"); err != nil {
		return nil, err
	}
	defer s.operator.Stop()
	if err := s.lab.client.Create(ctx, policy()); err != nil {
		return nil, fmt.Errorf("make the policy: %w", err)
	}
	return s.rage(ctx)
}

// prepare brings the storm to where only the kubelets have to begin.
func (s *storm) prepare(ctx context.Context, nodes []kubelet.Node) error {
	iam := &spread{cloud: s.cloud, delay: iamDelay, known: map[string]time.Time{}}
	go iam.follow(ctx, s.repositories)
	err := each(ctx, len(nodes), func(ctx context.Context, i int) error {
		return kubelet.Register(ctx, s.lab.typed, nodes[i], time.Now())
	})
	if err != nil {
		return err
	}
	s.kubelets, err = kubelet.New(ctx, kubelet.Options{
		Config: s.lab.kubelets, Nodes: nodes, Spread: stormSpread, Pulls: iam.pulls, Clock: clock.RealClock{},
	})
	if err != nil {
		return err
	}
	go s.kubelets.Run(ctx)
	if err := each(ctx, s.namespaces, func(ctx context.Context, i int) error {
		return makeNamespace(ctx, s.lab.typed, s.namespace(i*deploymentsPerNamespace))
	}); err != nil {
		return err
	}
	if err := each(ctx, s.deployments, func(ctx context.Context, i int) error {
		name := fmt.Sprintf("service-%03d", i)
		return deploy(ctx, s.lab, s.cloud, deployment(s.namespace(i), name, imageOf(repositoryOf(i%s.repositories), name), podsPerDeployment))
	}); err != nil {
		return err
	}
	err = wait.PollUntilContextTimeout(ctx, countInterval, stormBound, true, func(context.Context) (bool, error) {
		return s.kubelets.Counts().Bound >= s.pods, nil
	})
	if err != nil {
		return fmt.Errorf("wait until %d pods are scheduled: %w", s.pods, err)
	}
	s.note("all %d pods are scheduled", s.pods)
	return nil
}

// rage lets the kubelets begin and waits until all pods run and nothing more happens.
func (s *storm) rage(ctx context.Context) (*stormResult, error) {
	result := &stormResult{shape: s.shape}
	idle, err := s.operator.proc().CPU()
	if err != nil {
		return nil, err
	}
	s.kubelets.Begin()
	told := time.Now()
	err = wait.PollUntilContextTimeout(ctx, countInterval, stormBound, true, func(context.Context) (bool, error) {
		if err := s.operator.Exited(); err != nil {
			return false, err
		}
		counts := s.kubelets.Counts()
		if time.Since(told) > noteInterval {
			told = time.Now()
			s.note("%d of %d pods run, %d fail; %d IAM writes", counts.Running, s.pods, counts.Failing, len(s.writes()))
			if counts.Last != nil {
				s.note("%d writes of kubelets had to be repeated, the last because of: %v", counts.Errors, counts.Last)
			}
		}
		return counts.Running == s.pods && counts.Bound == s.pods, nil
	})
	if err != nil {
		return nil, fmt.Errorf("wait until %d pods run: %w", s.pods, err)
	}
	result.recovered = time.Since(s.kubelets.First())
	if err := pause(ctx, aftermath); err != nil {
		return nil, err
	}
	return result, s.count(ctx, result, idle)
}

// writes are the calls that write an IAM policy.
func (s *storm) writes() []call {
	var writes []call
	for _, c := range s.cloud.seen() {
		if c.writes() {
			writes = append(writes, c)
		}
	}
	return writes
}

// pause waits, unless the context ends before.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
