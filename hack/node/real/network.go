// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	// bridgePrefix and a number name a node's bridge; the whole must fit into 15 characters.
	bridgePrefix = "pullaccess"
	// maxNodes bounds the nodes of one machine: each has one of the /24 networks of 198.18.0.0/16.
	maxNodes = 256
)

// network is the bridge that a node's pods hang on. There is no way from it to any other network.
type network struct {
	index  int
	bridge netlink.Link
}

// claimNetwork makes the first bridge that is not there yet. The kernel refuses a second one of that name, so the bridge is
// also the lock by which nodes of different processes keep out of each other's way.
func claimNetwork(dir string) (*network, error) {
	for i := range maxNodes {
		attributes := netlink.NewLinkAttrs()
		attributes.Name = fmt.Sprintf("%s%d", bridgePrefix, i)
		bridge := &netlink.Bridge{LinkAttrs: attributes}
		err := netlink.LinkAdd(bridge)
		if errors.Is(err, unix.EEXIST) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("make bridge %s: %w", attributes.Name, err)
		}
		n := &network{index: i, bridge: bridge}
		if err := n.configure(dir); err != nil {
			return nil, errors.Join(err, n.remove())
		}
		return n, nil
	}
	return nil, fmt.Errorf("make a bridge: all %d are taken", maxNodes)
}

// configure gives the bridge the node's address. The alias says whose it is to whoever finds it orphaned.
func (n *network) configure(dir string) error {
	if err := netlink.LinkSetAlias(n.bridge, dir); err != nil {
		return fmt.Errorf("name the owner of bridge %s: %w", n.name(), err)
	}
	address := &netlink.Addr{IPNet: &net.IPNet{IP: n.address(), Mask: net.CIDRMask(24, 32)}}
	if err := netlink.AddrAdd(n.bridge, address); err != nil {
		return fmt.Errorf("give bridge %s an address: %w", n.name(), err)
	}
	if err := netlink.LinkSetUp(n.bridge); err != nil {
		return fmt.Errorf("set bridge %s up: %w", n.name(), err)
	}
	return nil
}

func (n *network) name() string {
	return n.bridge.Attrs().Name
}

// address is the node's own in its network. The block is set aside for tests between machines, and routed nowhere.
func (n *network) address() net.IP {
	return net.IPv4(198, 18, byte(n.index), 1).To4()
}

// subnetOf returns the pods' network of the node with this address.
func subnetOf(address net.IP) string {
	return (&net.IPNet{IP: address.Mask(net.CIDRMask(24, 32)), Mask: net.CIDRMask(24, 32)}).String()
}

// bridgeOf returns the name of the bridge of the node with this address.
func bridgeOf(address net.IP) string {
	return fmt.Sprintf("%s%d", bridgePrefix, address.To4()[2])
}

// remove deletes the bridge and what hangs on it: the kernel frees a dead pod's cable only some time after the pod.
func (n *network) remove() error {
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("list the cables of bridge %s: %w", n.name(), err)
	}
	var gone netlink.LinkNotFoundError
	for _, link := range links {
		if link.Attrs().MasterIndex != n.bridge.Attrs().Index {
			continue
		}
		if err := netlink.LinkDel(link); err != nil && !errors.Is(err, unix.ENODEV) && !errors.As(err, &gone) {
			return fmt.Errorf("delete cable %s: %w", link.Attrs().Name, err)
		}
	}
	if err := netlink.LinkDel(n.bridge); err != nil && !errors.Is(err, unix.ENODEV) && !errors.As(err, &gone) {
		return fmt.Errorf("delete bridge %s: %w", n.name(), err)
	}
	return nil
}
