// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"hash/crc32"
	"net/http"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/pull-access/pull-access-operator/hack/bench/kubelet"
	"github.com/pull-access/pull-access-operator/hack/gcpemulator"
)

// faultyStatuses are the transient errors that Google returns once for each read of a case.
var faultyStatuses = []int{http.StatusServiceUnavailable, http.StatusTooManyRequests}

// faultyNodes returns n nodes without cached facts: each has its own instance template.
func faultyNodes(n int) []kubelet.Node {
	var nodes []kubelet.Node
	for i := range n {
		pool := pools[0]
		name := fmt.Sprintf("gke-prod-%s-%08x-0000", pool, crc32.ChecksumIEEE(fmt.Append(nil, "faulty", i)))
		nodes = append(nodes, kubelet.Node{
			Name: name, ProviderID: "gce://" + nodeProject + "/" + zone + "/" + name, Pool: pool, Account: accountOf(pool),
		})
	}
	return nodes
}

// readsOf maps the method of each read of a case to its resource.
func readsOf(node kubelet.Node, i int) map[string]string {
	return map[string]string{
		"instances.get": node.Name, "GetRepository": resourceOf(repositoryOf(i)), "GetIamPolicy": resourceOf(repositoryOf(i)),
	}
}

// failFaulty creates a pod that fails on repository i and a new node, while Google returns status once for
// each read.
func (s *stage) failFaulty(ctx context.Context, i int, node kubelet.Node, status int) (aloneCase, error) {
	if err := kubelet.Register(ctx, s.lab.typed, node, time.Now()); err != nil {
		return aloneCase{}, err
	}
	s.cloud.ClearFaults() // The emulator uses the oldest matching fault.
	reads := readsOf(node, i)
	for method, resource := range reads {
		s.cloud.InjectFault(gcpemulator.Fault{Method: method, Match: resource, HTTPStatus: status, Times: 1, Delay: s.latency})
	}
	s.cloud.slow(s.latency)
	c, err := s.fail(ctx, i, func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.NodeSelector = map[string]string{corev1.LabelHostname: node.Name}
	})
	if err != nil {
		return c, err
	}
	for method, resource := range reads {
		if !slices.ContainsFunc(s.cloud.Requests(), func(r gcpemulator.Request) bool {
			return r.Method == method && strings.Contains(r.Resource, resource) && r.Status == status
		}) {
			return c, fmt.Errorf("no call of %s was answered with HTTP %d", method, status)
		}
	}
	return c, nil
}

// faultyCases measures b.faulty cases of each status, beginning at repository first.
func (b *bench) faultyCases(ctx context.Context, s *stage, first int) error {
	t := &table{
		title: fmt.Sprintf("%d failures of each kind that come alone, each on a node and a repository that the operator has not read; Google answers each of its 3 reads once with an error; %s a call",
			b.faulty, s.latency),
		head: []string{"until the IAM write arrives", "p50", "p99", "most calls", "target"},
	}
	for n, status := range faultyStatuses {
		b.step("%d failures while Google answers each read once with %d", b.faulty, status)
		var values []time.Duration
		most := 0
		for i := range b.faulty {
			at := n*b.faulty + i
			c, err := s.failFaulty(ctx, first+at, s.spare[at], status)
			if err != nil {
				return fmt.Errorf("case %d of HTTP %d: %w", i, status, err)
			}
			values, most = append(values, c.whole), max(most, c.calls)
		}
		t.add(fmt.Sprintf("one %d on each read", status), []cell{fine(quantile(values, 0.5)), fine(quantile(values, 0.99)), figure("%d", most)}, "p99 <= 5 s")
	}
	b.show(t)
	return nil
}
