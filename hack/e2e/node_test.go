// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster && node && linux

package e2e

import (
	"testing"

	"github.com/pull-access/pull-access-operator/hack/cluster"
	"github.com/pull-access/pull-access-operator/hack/cluster/pause"
)

const (
	// pauseImage is the sandbox's, on a registry that asks nobody.
	pauseImage = "registry.example.com/infra/pause:1"
	googleHost = location + "-docker.pkg.dev"
)

// TestRealNode has containerd and kubelet pull: the core of the cases of the hollow nodes, by the same functions.
func TestRealNode(t *testing.T) {
	l := newLab(t)
	image, err := pause.Image()
	if err != nil {
		t.Fatal(err)
	}
	l.image = image
	l.push(t, pauseImage)
	l.startReal(t, node{name: "real"})
	l.startReal(t, node{name: "anonymous", anonymous: true})

	t.Run("heals", func(t *testing.T) { tellsStory(t, l, "real-heals", "real") })
	for name, node := range map[string]string{"missing-manifest": "real", "anonymous-pull": "anonymous"} {
		t.Run(name, func(t *testing.T) {
			l.operator(t)
			tc := refusalCases[name]
			tc.node = node
			leavesAlone(t, l, "real-"+name, tc)
		})
	}
	for _, name := range []string{"4-intent-but-no-write", "5-write-without-an-answer", "8-restart-recorded-not-done"} {
		t.Run(name, func(t *testing.T) { survives(t, l, "real-"+name, "real", killCases[name]) })
	}
}

// startReal starts a real node with its instance.
func (l *lab) startReal(t *testing.T, n node) {
	t.Helper()
	l.startRealWith(t, n, pauseImage)
}

// startRealWith is startReal with another sandbox image.
func (l *lab) startRealWith(t *testing.T, n node, sandbox string) {
	t.Helper()
	metadata, providerID := l.machine(t, n)
	spec := cluster.NodeSpec{
		Name:        n.name,
		ProviderID:  providerID,
		Labels:      n.labels(),
		MetadataURL: metadata,
		RegistryURL: l.cloud.URL(),
		Registries:  []string{googleHost},
		PauseImage:  sandbox,
	}
	if n.anonymous {
		spec.Anonymous, spec.MetadataURL = true, ""
	}
	started, err := shared.StartNode(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(t, started) })
}
