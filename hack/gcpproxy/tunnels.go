// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package gcpproxy

import (
	"net"
	"sync"
)

// tunnels is a net.Listener whose connections are the clients' ends of tunnels.
type tunnels struct {
	address net.Addr
	opened  chan net.Conn
	close   sync.Once
	closed  chan struct{}
}

func newTunnels(address net.Addr) *tunnels {
	return &tunnels{address: address, opened: make(chan net.Conn), closed: make(chan struct{})}
}

// add adds a connection. It returns false after Close.
func (t *tunnels) add(connection net.Conn) bool {
	select {
	case t.opened <- connection:
		return true
	case <-t.closed:
		return false
	}
}

// Accept implements net.Listener.
func (t *tunnels) Accept() (net.Conn, error) {
	select {
	case connection := <-t.opened:
		return connection, nil
	case <-t.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (t *tunnels) Close() error {
	t.close.Do(func() { close(t.closed) })
	return nil
}

// Addr implements net.Listener.
func (t *tunnels) Addr() net.Addr { return t.address }
