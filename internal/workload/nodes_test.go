// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pull-access/pull-access-operator/internal/diagnosis"
)

// pullers answers for every node, and remembers for which.
type pullers struct{ asked []string }

func (p *pullers) NodeAccount(_ context.Context, node diagnosis.Node) diagnosis.Puller {
	p.asked = append(p.asked, node.Name)
	return diagnosis.Puller{State: diagnosis.Present, Email: "nodes@acme-prod.iam.gserviceaccount.com"}
}

func TestPuller(t *testing.T) {
	s := newServer(t, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1"}})
	nodes, cloud := NewNodes(s), &pullers{}
	known, err := nodes.Puller(t.Context(), cloud, "node-1")
	if err != nil || known.Member() != "serviceAccount:nodes@acme-prod.iam.gserviceaccount.com" {
		t.Errorf("Puller of a node that is there: %+v, %v", known, err)
	}
	for _, name := range []string{"", "node-2"} {
		unknown, err := nodes.Puller(t.Context(), cloud, name)
		if err != nil || unknown.State != diagnosis.Unknown || unknown.Obstacle.Kind != diagnosis.Unreadable {
			t.Errorf("Puller of node %q: %+v, %v; want it unknown, with the obstacle", name, unknown, err)
		}
	}
	s.nextErr = errors.New("broken")
	if unknown, err := nodes.Puller(t.Context(), cloud, "node-2"); !errors.Is(err, s.nextErr) || unknown.State != diagnosis.Unknown {
		t.Errorf("Puller: %+v, %v; want %v", unknown, err, s.nextErr)
	}
	if diff := cmp.Diff([]string{"node-1"}, cloud.asked); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
}
