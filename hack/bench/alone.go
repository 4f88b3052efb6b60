// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/clock"

	"github.com/pull-access/pull-access-operator/hack/bench/kubelet"
	"github.com/pull-access/pull-access-operator/hack/cluster"
)

const (
	aloneNamespace = "alone"
	// aloneBound is how long one case may take from its Deployment to its IAM write.
	aloneBound = time.Minute
)

// aloneCase is one failure that came alone.
type aloneCase struct {
	// whole is from the status to the IAM write, cloud what of it passed in calls to Google.
	whole, cloud time.Duration
	calls        int
}

// stage is a cluster with nodes that cannot pull, and one namespace.
type stage struct {
	lab      *lab
	cloud    *cloud
	kubelets *kubelet.Kubelets
	failed   chan time.Time
	latency  time.Duration
	// spare lists nodes that are not registered yet.
	spare []kubelet.Node
}

func (s *stage) stop() {
	s.lab.Stop()
	s.cloud.close()
}

// startStage starts a cluster whose kubelets pull at once what they are given.
func startStage(ctx context.Context, repositories, spare int, latency time.Duration) (_ *stage, err error) {
	nodes := nodesFor(2 * len(pools))
	s := &stage{failed: make(chan time.Time, repositories), latency: latency, spare: faultyNodes(spare)}
	all := slices.Concat(nodes, s.spare)
	if s.cloud, err = startCloud(ctx, repositories, all, latency); err != nil {
		return nil, err
	}
	if s.lab, err = startLab(ctx, cluster.Options{}); err != nil {
		s.cloud.close()
		return nil, err
	}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	for _, node := range nodes {
		if err := kubelet.Register(ctx, s.lab.typed, node, time.Now()); err != nil {
			return nil, err
		}
	}
	iam := &spread{cloud: s.cloud, known: map[string]time.Time{}}
	go iam.follow(ctx, repositories)
	s.kubelets, err = kubelet.New(ctx, kubelet.Options{
		Config: s.lab.kubelets, Nodes: all, Pulls: iam.pulls, Clock: clock.RealClock{},
		Failed: func(_ types.NamespacedName, at time.Time) {
			select {
			case s.failed <- at:
			default: // Nobody waits for it.
			}
		},
	})
	if err != nil {
		return nil, err
	}
	go s.kubelets.Run(ctx)
	s.kubelets.Begin()
	if err := makeNamespace(ctx, s.lab.typed, aloneNamespace); err != nil {
		return nil, err
	}
	if err := s.lab.client.Create(ctx, policy()); err != nil {
		return nil, fmt.Errorf("make the policy: %w", err)
	}
	return s, nil
}

// alone has one pod after the other fail, each on a repository of its own, and measures how soon the operator writes.
func (b *bench) alone(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := b.makeManager(ctx); err != nil {
		return err
	}
	if b.hold {
		return b.holdAlone(ctx)
	}
	b.step("%d failures, one after the other", b.cases)
	faulty := len(faultyStatuses) * b.faulty
	s, err := startStage(ctx, b.cases+1+faulty, faulty, b.latency)
	if err != nil {
		return err
	}
	defer s.stop()
	operator, err := s.lab.startOperator(ctx, b.manager, s.cloud.URL, "manager")
	if err != nil {
		return err
	}
	defer operator.Stop()
	// The first finds an operator that has only just begun, and is not counted.
	if _, err := s.fail(ctx, b.cases, nil); err != nil {
		return fmt.Errorf("the case before all others: %w", err)
	}
	var cases []aloneCase
	for i := range b.cases {
		c, err := s.fail(ctx, i, nil)
		if err != nil {
			return fmt.Errorf("case %d: %w", i, err)
		}
		cases = append(cases, c)
	}
	b.show(aloneTable(cases, b.latency))
	if b.faulty == 0 {
		return nil
	}
	return b.faultyCases(ctx, s, b.cases+1)
}

// fail creates a pod that fails on repository i, and waits for the write of its IAM policy. change, if not nil, modifies
// the Deployment first.
func (s *stage) fail(ctx context.Context, i int, change func(*appsv1.Deployment)) (aloneCase, error) {
	name := fmt.Sprintf("service-%03d", i)
	d := deployment(aloneNamespace, name, imageOf(repositoryOf(i), name), 1)
	if change != nil {
		change(d)
	}
	if err := deploy(ctx, s.lab, s.cloud, d); err != nil {
		return aloneCase{}, err
	}
	var failedAt time.Time
	select {
	case failedAt = <-s.failed:
	case <-ctx.Done():
		return aloneCase{}, context.Cause(ctx)
	case <-time.After(aloneBound):
		return aloneCase{}, fmt.Errorf("no pod of Deployment %s failed within %s", name, aloneBound)
	}
	var calls []call
	err := wait.PollUntilContextTimeout(ctx, pollInterval, aloneBound, true, func(context.Context) (bool, error) {
		calls = s.callsOf(i)
		return slices.ContainsFunc(calls, func(c call) bool { return c.writes() && !c.end.IsZero() }), nil
	})
	if err != nil {
		return aloneCase{}, fmt.Errorf("wait until the policy of %s is written: %w", repositoryOf(i), err)
	}
	return judge(failedAt, calls), nil
}

// callsOf are the calls that were about repository i, or about none.
func (s *stage) callsOf(i int) []call {
	return slices.DeleteFunc(s.cloud.seen(), func(c call) bool {
		about := strings.Contains(c.path, "/repositories/")
		rest, found := strings.CutPrefix(c.path, "/v1/"+resourceOf(repositoryOf(i)))
		return about && (!found || rest != "" && rest[0] != ':' && rest[0] != '/')
	})
}

// judge takes from the time until the write what passed while Google was asked. Calls at the same time count once.
func judge(failed time.Time, calls []call) aloneCase {
	slices.SortFunc(calls, func(a, b call) int { return cmp.Compare(a.begin.UnixNano(), b.begin.UnixNano()) })
	write := calls[slices.IndexFunc(calls, call.writes)].begin
	c := aloneCase{whole: write.Sub(failed)}
	covered := failed
	for _, one := range calls {
		begin, end := later(one.begin, covered), one.end
		if end.IsZero() || end.After(write) {
			end = write
		}
		if one.begin.Before(write) && one.begin.After(failed) {
			c.calls++
		}
		if end.After(begin) {
			c.cloud += end.Sub(begin)
			covered = end
		}
	}
	return c
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func aloneTable(cases []aloneCase, latency time.Duration) *table {
	t := &table{
		title: fmt.Sprintf("%d failures that come alone: from the accepted status to the IAM write; %s a call to Google", len(cases), latency),
		head:  []string{"measured", "p50", "p99", "target"},
	}
	line := func(label, target string, of func(c aloneCase) time.Duration) {
		var values []time.Duration
		for _, c := range cases {
			values = append(values, of(c))
		}
		t.add(label, []cell{fine(quantile(values, 0.5)), fine(quantile(values, 0.99))}, target)
	}
	line("until the IAM write arrives", "", func(c aloneCase) time.Duration { return c.whole })
	line("of that, in calls to Google", "", func(c aloneCase) time.Duration { return c.cloud })
	line("of that, the operator's own", "p99 <= 1 s", func(c aloneCase) time.Duration { return c.whole - c.cloud })
	calls := map[int]int{}
	for _, c := range cases {
		calls[c.calls]++
	}
	most := 0
	for n := range calls {
		most = max(most, n)
	}
	t.add("most calls before the write", []cell{{}, figure("%d", most)}, "")
	return t
}
