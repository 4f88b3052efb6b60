// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/pull-access/pull-access-operator/hack/cluster"
)

// leaderBound is how long a change of the leader may take: the lease of one that was killed lasts 15 s.
const leaderBound = time.Minute

// quietRow is what both managers cost beside so many healthy pods.
type quietRow struct {
	pods            int
	operator, plain usage
	// change is the CPU time that the second operator needed to take over from the first.
	change time.Duration
}

// quiet measures the operator where nothing fails, for each number of pods in turn on one cluster.
func (b *bench) quiet(ctx context.Context) error {
	if err := b.makeManager(ctx); err != nil {
		return err
	}
	l, err := startLab(ctx, cluster.Options{NoControllers: true})
	if err != nil {
		return err
	}
	defer l.Stop()
	if b.hold {
		return b.holdQuiet(ctx, l)
	}
	if err := build(ctx, "./hack/bench/plain", b.plain, stripped...); err != nil {
		return err
	}
	google, err := startCloud(ctx, 0, nil, 0)
	if err != nil {
		return err
	}
	defer google.close()
	pods := &fleet{lab: l}
	var rows []quietRow
	defer func() { // What was measured is printed also when more pods could not be made.
		if len(rows) > 0 {
			b.show(quietTable(rows, pods.bytes))
			b.show(requestTable(rows))
		}
	}()
	for _, n := range b.pods {
		b.step("Making healthy pods, until there are %d", n)
		if err := pods.grow(ctx, n); err != nil {
			return err
		}
		row, err := b.quietWith(ctx, l, google, n)
		if err != nil {
			return err
		}
		rows = append(rows, row)
	}
	return nil
}

// quietWith measures both managers beside the pods that are there.
func (b *bench) quietWith(ctx context.Context, l *lab, google *cloud, pods int) (quietRow, error) {
	row := quietRow{pods: pods}
	b.step("Measuring the operator beside %d pods", pods)
	elected := []string{"--leader-elect", "--leader-election-namespace=" + operatorNamespace}
	begin := time.Now()
	first, err := l.startOperator(ctx, b.manager, google.URL, fmt.Sprintf("first-%d", pods), elected...)
	if err != nil {
		return row, err
	}
	defer first.Stop()
	if row.operator, err = observe(ctx, first, begin); err != nil {
		return row, err
	}
	second, err := l.startOperator(ctx, b.manager, google.URL, fmt.Sprintf("second-%d", pods), elected...)
	if err != nil {
		return row, err
	}
	defer second.Stop()
	if row.change, err = b.takeOver(ctx, l, first, second); err != nil {
		return row, err
	}
	second.Stop()
	if err := row.operator.ask(l.AuditLog, operatorUser); err != nil {
		return row, err
	}

	b.step("Measuring the plain manager beside %d pods", pods)
	kubeconfig, err := l.UserKubeconfig(plainUser, "system:masters")
	if err != nil {
		return row, err
	}
	begin = time.Now()
	other, err := launch(ctx, b.plain, filepath.Join(l.Dir, "logs", fmt.Sprintf("plain-%d.log", pods)), nil, "--kubeconfig="+kubeconfig)
	if err != nil {
		return row, err
	}
	defer other.Stop()
	if row.plain, err = observe(ctx, other, begin); err != nil {
		return row, err
	}
	other.Stop()
	return row, row.plain.ask(l.AuditLog, plainUser)
}

// takeOver kills the first operator, waits until the second leads and is at rest, and says what that cost the second. Who
// leads is read from the lease, which costs the operator nothing.
func (b *bench) takeOver(ctx context.Context, l *lab, first, second *program) (time.Duration, error) {
	if _, err := settle(ctx, second); err != nil {
		return 0, err
	}
	holder := func(ctx context.Context) (string, error) {
		lease, err := l.typed.CoordinationV1().Leases(operatorNamespace).Get(ctx, operatorName, metav1.GetOptions{})
		if err != nil || lease.Spec.HolderIdentity == nil {
			return "", err
		}
		return *lease.Spec.HolderIdentity, nil
	}
	old, err := holder(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the operator's lease: %w", err)
	}
	before, err := second.proc().CPU()
	if err != nil {
		return 0, err
	}
	first.Kill()
	err = wait.PollUntilContextTimeout(ctx, pollInterval, leaderBound, true, func(ctx context.Context) (bool, error) {
		now, err := holder(ctx)
		return now != "" && now != old, err
	})
	if err != nil {
		return 0, fmt.Errorf("wait until the second operator leads: %w", err)
	}
	after, err := settle(ctx, second)
	b.note("the second operator leads")
	return after - before, err
}
