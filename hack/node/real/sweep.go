// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const lockName = "lock"

// errInUse says that a living supervisor holds the folder.
var errInUse = errors.New("the folder is in use by another node")

// lockFolder takes a node's folder for as long as the file stays open, at the latest until we die.
func lockFolder(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the node's folder: %w", err)
	}
	return lock(dir, os.O_CREATE)
}

func lock(dir string, flag int) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|flag, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the node's folder: %w", err)
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = errInUse
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock the node's folder: %w", err), file.Close())
	}
	return file, nil
}

// sweep removes what is left of nodes whose supervisor was killed: their processes and mounts the kernel has ended with it,
// but not their bridge, control group and folder.
func sweep() error {
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("list bridges: %w", err)
	}
	var failed error
	for _, link := range links {
		attributes := link.Attrs()
		// A bridge without owner is one that is just being made.
		if !strings.HasPrefix(attributes.Name, bridgePrefix) || attributes.Alias == "" || link.Type() != "bridge" {
			continue
		}
		failed = errors.Join(failed, sweepNode(link, attributes.Alias))
	}
	return failed
}

func sweepNode(bridge netlink.Link, dir string) error {
	held, err := lock(dir, 0)
	switch {
	case errors.Is(err, errInUse):
		return nil
	case errors.Is(err, fs.ErrNotExist):
		// The folder was removed by hand; the rest is still ours.
	case err != nil:
		return err
	}
	group, err := cgroupNamed(bridge.Attrs().Name)
	if err != nil {
		return err
	}
	orphan := &node{spec: spec{dir: dir}, lock: held, network: &network{bridge: bridge}, group: group}
	return orphan.remove()
}
