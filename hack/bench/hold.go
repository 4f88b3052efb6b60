// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/pull-access/pull-access-operator/hack/pulltext"
)

// holdQuiet keeps a cluster of healthy pods until Ctrl-C.
func (b *bench) holdQuiet(ctx context.Context, l *lab) error {
	most := 0
	for _, n := range b.pods {
		most = max(most, n)
	}
	b.step("Making %d healthy pods", most)
	pods := &fleet{lab: l}
	if err := pods.grow(ctx, most); err != nil {
		return err
	}
	google, err := startCloud(ctx, 0, nil, 0)
	if err != nil {
		return err
	}
	defer google.close()
	return b.invite(ctx, l, google, fmt.Sprintf("%d healthy pods of %d bytes each as JSON; no controllers run", most, pods.bytes))
}

// holdAlone keeps a cluster on which one Deployment cannot pull until Ctrl-C.
func (b *bench) holdAlone(ctx context.Context) error {
	s, err := startStage(ctx, 1, 0, b.latency)
	if err != nil {
		return err
	}
	defer s.stop()
	const name = "service-000"
	image := imageOf(repositoryOf(0), name)
	if err := deploy(ctx, s.lab, s.cloud, deployment(aloneNamespace, name, image, 1)); err != nil {
		return err
	}
	select {
	case <-s.failed:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return b.invite(ctx, s.lab, s.cloud, fmt.Sprintf("Deployment %s/%s fails: %s\n# another failure: kubectl --namespace=%s rollout restart deployment/%s",
		aloneNamespace, name, pulltext.Refused(image), aloneNamespace, name))
}

// invite tells how to reach what is running, and waits. Whoever comes is an administrator whose requests are in the audit log.
func (b *bench) invite(ctx context.Context, l *lab, google *cloud, what string) error {
	guest, err := l.UserKubeconfig(guestUser, "system:masters")
	if err != nil {
		return err
	}
	operator, err := l.ServiceAccountKubeconfig(ctx, operatorNamespace, operatorName)
	if err != nil {
		return err
	}
	// peers.sh reads these lines: keep their beginnings.
	fmt.Fprintf(b.out, `# %s
export KUBECONFIG=%s
export PATH=%s:$PATH
# its requests are in the audit log: %s
# the operator: %s --kubeconfig=%s --gcp-endpoint=%s
# Ctrl-C ends all of it.
`, what, guest, filepath.Dir(l.KubectlPath), l.AuditLog, b.manager, operator, google.URL)
	<-ctx.Done()
	return nil
}
