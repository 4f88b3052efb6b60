// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pull-access/pull-access-operator/hack/bench/kubelet"
	"github.com/pull-access/pull-access-operator/hack/cluster"
	"github.com/pull-access/pull-access-operator/hack/pulltext"
)

const (
	// largePerNamespace is the number of large pods in a namespace. largeParallel limits concurrent creations, because each
	// is expensive for the API server.
	largePerNamespace, largeParallel = 100, 4
	// hostileBound is the most memory that large pods may take beyond the same number of
	// ordinary pods.
	hostileBound = 20 * megabyte
	// noStreams makes the API server send a list in one piece.
	noStreams = "--feature-gates=WatchList=false"
)

// largePod is one way to make a pod large.
type largePod struct {
	name string
	// failing is the number of pods that fail, if the pods do not fit into the cache. 0 is all.
	failing int
	write   func(pod *corev1.Pod)
}

// largePods begins with the ordinary pod, which is the baseline.
var largePods = []largePod{
	{"ordinary", 0, func(*corev1.Pod) {}},
	{"labels, 1 MB", 100, func(pod *corev1.Pod) { addLabels(pod, 7500) }},
	// These fit into the operator's cache.
	{"kept labels, 6 KB", 0, func(pod *corev1.Pod) { addLabels(pod, 45) }},
	{"images, 1 MB", 100, func(pod *corev1.Pod) {
		for i := range 250 {
			image := "us-docker.pkg.dev/" + strings.Repeat("y", 4000)
			pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: fmt.Sprintf("c%d", i), Image: image})
		}
	}},
	{"messages, 1 MB", 0, func(pod *corev1.Pod) {
		pod.Status.ContainerStatuses[0].State.Waiting.Message += strings.Repeat(" denied", megabyte/7)
	}},
	{"owners, 1 MB", 0, func(pod *corev1.Pod) {
		for i := range 5000 {
			pod.OwnerReferences = append(pod.OwnerReferences, metav1.OwnerReference{
				APIVersion: "apps/v1", Kind: "ReplicaSet", Name: strings.Repeat("n", 150), UID: types.UID(fmt.Sprintf("uid-%d", i)),
			})
		}
	}},
}

func addLabels(pod *corev1.Pod, n int) {
	for i := range n {
		pod.Labels[fmt.Sprintf("k%062d", i)] = strings.Repeat("v", 63)
	}
}

// hostileRow holds the operator's peak memory beside pods of one kind.
type hostileRow struct {
	name string
	// size is the size of one pod as protobuf.
	size int
	// arriving is the peak while the pods are created. streamed and listed are the peaks at a start with and without
	// streamed lists.
	arriving, streamed, listed int64
}

func (r hostileRow) label() string { return r.name }

// largePods returns the requested kinds.
func (o options) largePods() []largePod {
	return slices.DeleteFunc(slices.Clone(largePods[1:]), func(kind largePod) bool {
		return len(o.kinds) > 0 && !slices.ContainsFunc(o.kinds, func(name string) bool { return strings.Contains(kind.name, name) })
	})
}

// hostile measures the operator beside pods of the largest possible size.
func (b *bench) hostile(ctx context.Context) error {
	if err := b.makeManager(ctx); err != nil {
		return err
	}
	var rows []hostileRow
	defer func() {
		if len(rows) > 0 {
			b.show(hostileTable(rows, b.large))
		}
	}()
	for _, kind := range append(largePods[:1:1], b.largePods()...) {
		row, err := b.hostileWith(ctx, kind)
		if err != nil {
			return err
		}
		rows = append(rows, row)
	}
	return nil
}

// hostileWith uses its own cluster, because large pods leave much data in etcd.
func (b *bench) hostileWith(ctx context.Context, kind largePod) (hostileRow, error) {
	row := hostileRow{name: kind.name}
	b.step("Measuring the operator beside %d pods: %s", b.large, kind.name)
	l, err := startLab(ctx, cluster.Options{NoControllers: true, EtcdArgs: []string{"--quota-backend-bytes=8589934592"}})
	if err != nil {
		return row, err
	}
	defer l.Stop()
	nodes := nodesFor(roundUp(b.large, kubelet.PodsPerNode))
	google, err := startCloud(ctx, 1, nodes, 0)
	if err != nil {
		return row, err
	}
	defer google.close()
	if err := (&fleet{lab: l}).growNodes(ctx, b.large); err != nil {
		return row, err
	}
	row.arriving, err = b.peak(ctx, l, google, "arriving", func() error {
		row.size, err = b.makeLarge(ctx, l, kind)
		return err
	})
	if err != nil {
		return row, err
	}
	if row.streamed, err = b.peak(ctx, l, google, "streamed", nil); err != nil {
		return row, err
	}
	if err := l.RestartAPIServer(ctx, noStreams); err != nil {
		return row, err
	}
	row.listed, err = b.peak(ctx, l, google, "listed", nil)
	return row, err
}

// peak starts the operator, runs the function, and returns the peak memory once the operator is
// idle.
func (b *bench) peak(ctx context.Context, l *lab, google *cloud, name string, beside func() error) (int64, error) {
	p, err := l.startOperator(ctx, b.manager, google.URL, name)
	if err != nil {
		return 0, err
	}
	defer p.Stop()
	if beside != nil {
		if err := beside(); err != nil {
			return 0, err
		}
	}
	if _, err := settle(ctx, p); err != nil {
		return 0, err
	}
	peak, err := p.proc().Peak()
	b.note("%s: %.1f MB", name, float64(peak)/megabyte)
	return peak, err
}

// makeLarge creates the pods, which cannot pull, and returns the size of one.
func (b *bench) makeLarge(ctx context.Context, l *lab, kind largePod) (int, error) {
	pods := &fleet{lab: l}
	for i := 0; i < b.large; i += largePerNamespace {
		if err := pods.namespace(ctx, largeNamespace(i)); err != nil {
			return 0, err
		}
	}
	size := 0
	err := eachBy(ctx, largeParallel, b.large, func(ctx context.Context, i int) error {
		pod := healthy(i)
		pod.OwnerReferences = nil
		pod.Status = kubelet.Running(pod, metav1.NewTime(time.Now()))
		pod.Status.Phase = corev1.PodPending
		for j := range pod.Status.ContainerStatuses {
			status := &pod.Status.ContainerStatuses[j]
			status.Ready, status.Started = false, nil
			status.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: pulltext.Refused(status.Image)}}
		}
		kind.write(pod)
		status := pod.Status
		made, err := l.typed.CoreV1().Pods(largeNamespace(i)).Create(ctx, pod, metav1.CreateOptions{})
		if err != nil {
			return fmt.Errorf("make pod %d: %w", i, err)
		}
		if i == 0 {
			size = made.Size()
		}
		if i%largePerNamespace == 0 {
			b.note("%d pods are made", i)
		}
		if kind.failing > 0 && i >= kind.failing {
			return nil
		}
		made.Status = status
		if made, err = l.typed.CoreV1().Pods(largeNamespace(i)).UpdateStatus(ctx, made, metav1.UpdateOptions{}); err != nil {
			return fmt.Errorf("fail pod %d: %w", i, err)
		}
		if i == 0 {
			size = made.Size()
		}
		return nil
	})
	return size, err
}

func largeNamespace(pod int) string { return fmt.Sprintf("stranger-%02d", pod/largePerNamespace) }

// hostileTable has a column for each kind of pod.
func hostileTable(rows []hostileRow, pods int) *table {
	t := compare("peak resident memory", "target", rows)
	t.title = fmt.Sprintf("Hostile pods: %d pending pods of each kind in %d namespaces, which cannot pull", pods, roundUp(pods, largePerNamespace))
	t.line("size of a pod", "", func(r hostileRow) cell { return figure("%.1f KB", float64(r.size)/1024) })
	for _, of := range []struct {
		name string
		peak func(hostileRow) int64
	}{
		{"while they are made", func(r hostileRow) int64 { return r.arriving }},
		{"start, streamed list", func(r hostileRow) int64 { return r.streamed }},
		{"start, no streamed list", func(r hostileRow) int64 { return r.listed }},
	} {
		t.line(of.name, "", func(r hostileRow) cell { return megabytes(of.peak(r)) })
		t.line(of.name+": above ordinary", "<= 20 MB", func(r hostileRow) cell {
			return within(of.peak(r)-of.peak(rows[0]), hostileBound)
		})
	}
	return t.table
}

// within judges an amount of memory against limit.
func within(got, limit int64) cell {
	return cell{text: fmt.Sprintf("%.1f MB", float64(got)/megabyte), judged: true, held: got <= limit}
}
