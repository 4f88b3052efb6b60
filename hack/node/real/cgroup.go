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
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

const cgroupMount = "/sys/fs/cgroup"

// cgroup is the control group, in every hierarchy of the machine, below which a kubelet keeps its pods. Each kubelet needs
// its own: it kills what it does not know below the one it has.
type cgroup struct {
	name string
	dirs []string
}

// cgroupNamed finds the folders of a group that may not be there yet, under version 1 (a tree for each controller) or 2.
func cgroupNamed(name string) (*cgroup, error) {
	unified, err := isUnified()
	if err != nil {
		return nil, err
	}
	if unified {
		return &cgroup{name: name, dirs: []string{filepath.Join(cgroupMount, name)}}, nil
	}
	entries, err := os.ReadDir(cgroupMount)
	if err != nil {
		return nil, fmt.Errorf("list control groups: %w", err)
	}
	group := &cgroup{name: name}
	for _, entry := range entries {
		// Links are second names of a hierarchy that is here as a folder.
		if entry.IsDir() {
			group.dirs = append(group.dirs, filepath.Join(cgroupMount, entry.Name(), name))
		}
	}
	return group, nil
}

func isUnified() (bool, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(cgroupMount, &stat); err != nil {
		return false, fmt.Errorf("look at %s: %w", cgroupMount, err)
	}
	return stat.Type == unix.CGROUP2_SUPER_MAGIC, nil
}

// create makes the group. Under version 2 its parent must first hand down its controllers.
func (g *cgroup) create() error {
	unified, err := isUnified()
	if err != nil {
		return err
	}
	if unified {
		if err := handDownControllers(cgroupMount); err != nil {
			return err
		}
	}
	for _, dir := range g.dirs {
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make control group %s: %w", g.name, err)
		}
	}
	return nil
}

// kubeletControllers are those that a kubelet insists on, as far as the machine has them.
var kubeletControllers = []string{"cpu", "cpuset", "memory", "hugetlb", "pids"}

// handDownControllers lets the groups below the mount use the controllers that kubelet wants, where they don't yet.
func handDownControllers(mount string) error {
	there, err := controllersIn(filepath.Join(mount, "cgroup.controllers"))
	if err != nil {
		return err
	}
	control := filepath.Join(mount, "cgroup.subtree_control")
	given, err := controllersIn(control)
	if err != nil {
		return err
	}
	for _, controller := range kubeletControllers {
		if !slices.Contains(there, controller) || slices.Contains(given, controller) {
			continue
		}
		if err := os.WriteFile(control, []byte("+"+controller), 0o644); err != nil {
			return fmt.Errorf("hand controller %s down to control groups: %w", controller, err)
		}
	}
	return nil
}

func controllersIn(file string) ([]string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("list controllers: %w", err)
	}
	return strings.Fields(string(data)), nil
}

// remove deletes the group and those below it, the lowest first. No process may be left in them.
func (g *cgroup) remove() error {
	var failed error
	for _, top := range g.dirs {
		var dirs []string
		err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err == nil && entry.IsDir() {
				dirs = append(dirs, path)
			}
			return err
		})
		failed = errors.Join(failed, err)
		slices.Reverse(dirs)
		for _, dir := range dirs {
			if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
				failed = errors.Join(failed, err)
			}
		}
	}
	if failed != nil {
		return fmt.Errorf("remove control group %s: %w", g.name, failed)
	}
	return nil
}
