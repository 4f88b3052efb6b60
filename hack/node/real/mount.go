// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// tunables are the kernel settings that kubelet wants, with its values. They hold for the whole machine, so the node gets
// files of its own in their places: kubelet finds what it wants and changes nothing.
var tunables = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

// mountAll makes the node's view of the machine: the host's files, but its own processes, its own /run (with the sockets of
// its own containerd) and a layer of its own over what kubelet and CNI write to at fixed places.
func mountAll() error {
	// Nothing that we mount may reach the host; from here on the node shares mounts with its own containers alone.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("part from the host's mounts: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("share mounts with containers: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return fmt.Errorf("mount /run: %w", err)
	}
	for _, dir := range []string{"/var/lib", "/var/log"} {
		if err := coverFolder(dir); err != nil {
			return err
		}
	}
	return coverTunables()
}

// coverFolder has all that is written below a folder go to /run instead.
func coverFolder(dir string) error {
	layer := filepath.Join("/run/layer", dir)
	upper, work := filepath.Join(layer, "upper"), filepath.Join(layer, "work")
	for _, d := range []string{upper, work} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return fmt.Errorf("make a layer over %s: %w", dir, err)
		}
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", dir, upper, work)
	if err := unix.Mount("overlay", dir, "overlay", 0, options); err != nil {
		return fmt.Errorf("mount a layer over %s: %w", dir, err)
	}
	return nil
}

func coverTunables() error {
	for name, value := range tunables {
		place := filepath.Join("/proc/sys", name)
		if _, err := os.Stat(place); err != nil {
			continue // This kernel lacks the setting, and kubelet will say so.
		}
		file := filepath.Join("/run", "tunable-"+strings.ReplaceAll(name, "/", "-"))
		if err := os.WriteFile(file, []byte(value+"\n"), 0o644); err != nil {
			return fmt.Errorf("write the node's own %s: %w", name, err)
		}
		if err := unix.Mount(file, place, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount the node's own %s: %w", name, err)
		}
	}
	return nil
}
