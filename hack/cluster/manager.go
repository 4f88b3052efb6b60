// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"slices"
)

// Manager is a running controller manager: the operator, or another one beside it.
type Manager struct {
	*Process
	// Metrics and Probes are HOST:PORT.
	Metrics, Probes string
}

// StartManager starts a controller manager on addresses that are free, and returns when it is ready, however long that takes.
// Whoever starts it must call Stop.
func StartManager(ctx context.Context, command Command) (*Manager, error) {
	return onFreePorts(func() (*Manager, error) { return startManager(ctx, command) })
}

func startManager(ctx context.Context, command Command) (*Manager, error) {
	found, err := freeAddresses(2)
	if err != nil {
		return nil, err
	}
	m := &Manager{Metrics: found[0].String(), Probes: found[1].String()}
	command.Args = slices.Concat(command.Args, []string{"--metrics-bind-address=" + m.Metrics, "--health-probe-bind-address=" + m.Probes})
	if m.Process, err = StartProcess(command); err != nil {
		return nil, err
	}
	err = m.await(ctx, command.Name+" to be ready", func(ctx context.Context) error { return getOK(ctx, "http://"+m.Probes+"/readyz") })
	if err != nil {
		m.Stop()
		return nil, err
	}
	return m, nil
}
