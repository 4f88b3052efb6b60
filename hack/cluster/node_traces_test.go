// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build node && linux

package cluster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// traces are where on the machine a running node shows.
type traces struct {
	dir    string
	bridge string
	// cables are the links of pods.
	cables []string
}

// tracesOf finds a running node's bridge, by the folder that the bridge's alias names, and the cables that hang on it.
func tracesOf(t *testing.T, dir string) traces {
	t.Helper()
	aliases, err := filepath.Glob("/sys/class/net/*/ifalias")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range aliases {
		alias, err := os.ReadFile(file)
		if err != nil || strings.TrimSpace(string(alias)) != dir {
			continue
		}
		bridge := filepath.Base(filepath.Dir(file))
		found := traces{dir: dir, bridge: bridge}
		ports, err := os.ReadDir(filepath.Join("/sys/class/net", bridge, "brif"))
		if err != nil {
			t.Fatal(err)
		}
		for _, port := range ports {
			found.cables = append(found.cables, port.Name())
		}
		return found
	}
	t.Fatalf("no bridge belongs to the node in %s", dir)
	return traces{}
}

// kinds of traces, as remaining names them.
const (
	aFolder   = "folder"
	aLink     = "network link"
	aCgroup   = "control group"
	aMount    = "mount"
	aProgram  = "program"
	aWorkload = "process in a container"
)

// remaining returns which kinds of traces are on the machine now, each with an example.
func (tr traces) remaining(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, pattern := range []string{filepath.Join("/sys/fs/cgroup", tr.bridge), filepath.Join("/sys/fs/cgroup/*", tr.bridge)} {
		if groups, _ := filepath.Glob(pattern); len(groups) > 0 {
			found[aCgroup] = groups[0]
		}
	}
	for _, link := range append([]string{tr.bridge}, tr.cables...) {
		if _, err := os.Stat(filepath.Join("/sys/class/net", link)); err == nil {
			found[aLink] = link
		}
	}
	if _, err := os.Stat(tr.dir); err == nil {
		found[aFolder] = tr.dir
	}
	if mounts := contentOf("/proc/self/mountinfo"); strings.Contains(mounts, tr.dir) {
		found[aMount] = mounts
	}
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, process := range processes {
		if line := contentOf(filepath.Join(process, "cmdline")); strings.Contains(line, tr.dir) {
			found[aProgram] = strings.ReplaceAll(line, "\x00", " ")
		}
		if group := contentOf(filepath.Join(process, "cgroup")); strings.Contains(group, "/"+tr.bridge+"/") {
			found[aWorkload] = process
		}
	}
	return found
}

// requireRunning makes sure that the test sees a running node at all: else seeing none later would prove nothing.
func (tr traces) requireRunning(t *testing.T) {
	t.Helper()
	found := tr.remaining(t)
	for _, kind := range []string{aFolder, aLink, aCgroup, aProgram, aWorkload} {
		if found[kind] == "" {
			t.Fatalf("of the running node, the test sees no %s, only %v", kind, found)
		}
	}
	if found[aMount] != "" {
		t.Errorf("the running node has mounted something on the host: %s", found[aMount])
	}
	if len(tr.cables) == 0 {
		t.Errorf("no pod hangs on bridge %s", tr.bridge)
	}
}

func (tr traces) requireGone(t *testing.T) {
	t.Helper()
	if diff := cmp.Diff(map[string]string{}, tr.remaining(t)); diff != "" {
		t.Errorf("traces of a node that has ended (-want +got):\n%s", diff)
	}
}

// contentOf returns a file's text, and nothing for a process that has just gone.
func contentOf(file string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	return string(data)
}
