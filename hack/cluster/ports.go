// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// startAttempts bounds how often a start begins anew because another program took a port that had been found free.
const startAttempts = 3

// errPortTaken says that a port which was free a moment ago no longer is.
var errPortTaken = errors.New("a port was taken by another program")

// FreeAddress is a HOST:PORT of loopback on which nobody listens. Another program may take it before it is used.
func FreeAddress() (string, error) {
	found, err := freeAddresses(1)
	if err != nil {
		return "", err
	}
	return found[0].String(), nil
}

// freeAddresses finds n of them. All are held until the last is found, so that they differ.
func freeAddresses(n int) ([]netip.AddrPort, error) {
	found := make([]netip.AddrPort, n)
	for i := range found {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer listener.Close()
		if found[i], err = netip.ParseAddrPort(listener.Addr().String()); err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
	}
	return found, nil
}

// onFreePorts begins a start anew where another program was faster.
func onFreePorts[T any](start func() (T, error)) (T, error) {
	for attempt := 1; ; attempt++ {
		started, err := start()
		if err == nil || attempt == startAttempts || !errors.Is(err, errPortTaken) {
			return started, err
		}
	}
}
