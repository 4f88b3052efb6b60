// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
	"sigs.k8s.io/yaml"
)

// arguments are flags of a whole node, whose strings would break out of any file that does not quote them.
func arguments(dir string) []string {
	return []string{
		"--name=first", "--provider-id=gce://p/z/\"i", "--labels=a=b", "--kubeconfig=k", "--client-ca=ca", "--log-prefix=l",
		"--metadata-url=http://127.0.0.1:1", "--registry=http://127.0.0.1:2", "--registries=gcr.io,us-docker.pkg.dev",
		"--pause-image=gcr.io/p/pause:1", "--dir=" + dir, "--bin=/b", "--address=198.18.7.1",
	}
}

func TestParseRefuses(t *testing.T) {
	whole := arguments("d")
	for name, tc := range map[string]struct {
		args    []string
		wantErr string
	}{
		"nothing":                 {nil, "--name is needed"},
		"unknown flag":            {append(slices.Clone(whole), "--colour=red"), "not defined: -colour"},
		"no metadata server":      {append(slices.Clone(whole), "--metadata-url="), "--metadata-url is needed"},
		"registry off loopback":   {append(slices.Clone(whole), "--registry=http://192.0.2.1:80"), "not on loopback"},
		"registry by a name":      {append(slices.Clone(whole), "--registry=http://localhost:80"), "not on loopback"},
		"metadata off loopback":   {append(slices.Clone(whole), "--metadata-url=http://169.254.169.254"), "not on loopback"},
		"registry is no URL":      {append(slices.Clone(whole), "--registry=http://[::"), "read address"},
		"sandbox image forgotten": {append(slices.Clone(whole), "--pause-image="), "--pause-image is needed"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(tc.args)
			if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
				t.Errorf("error = %v, want one that says %q", err, tc.wantErr)
			}
		})
	}
}

func TestAnonymousNeedsNoMetadataServer(t *testing.T) {
	s, err := parse(append(arguments("d"), "--metadata-url=", "--anonymous"))
	if err != nil || !s.anonymous {
		t.Errorf("parse = %+v, %v, want an anonymous node", s, err)
	}
}

func TestFlagsMakeTheSameSpec(t *testing.T) {
	want, err := parse(arguments("d"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := parse(want.flags())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(again.flags(), want.flags()) || again.providerID != want.providerID || !again.address.Equal(want.address) {
		t.Errorf("the node's init would get %+v, the supervisor has %+v", again, want)
	}
}

func TestWriteFiles(t *testing.T) {
	s, err := parse(arguments(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.writeFiles(); err != nil {
		t.Fatal(err)
	}
	read := func(name string, unmarshal func([]byte, any) error) map[string]any {
		t.Helper()
		data, err := os.ReadFile(s.path(name))
		if err != nil {
			t.Fatal(err)
		}
		values := map[string]any{}
		if err := unmarshal(data, &values); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return values
	}
	strictYAML := func(data []byte, into any) error { return yaml.UnmarshalStrict(data, into) }

	for _, host := range []string{"_default", "gcr.io", "us-docker.pkg.dev"} {
		hosts := read(filepath.Join("certs.d", host, "hosts.toml"), toml.Unmarshal)
		if len(hosts) != 1 || hosts["server"] != "http://127.0.0.1:2" {
			t.Errorf("hosts of %s = %v, want the one server on loopback", host, hosts)
		}
	}
	if got := read(containerdConfig, toml.Unmarshal)["root"]; got != s.path("containerd") {
		t.Errorf("containerd's root = %v, want it in the node's folder", got)
	}
	kubelet := read(kubeletConfig, strictYAML)
	for key, want := range map[string]any{"providerID": "gce://p/z/\"i", "address": "198.18.7.1", "cgroupRoot": "/pullaccess7"} {
		if kubelet[key] != want {
			t.Errorf("kubelet's %s = %v, want %v", key, kubelet[key], want)
		}
	}
	read(providerConfig, strictYAML)
	bridge := read("cni/10-bridge.conflist", json.Unmarshal)["plugins"].([]any)[0].(map[string]any)
	if bridge["bridge"] != "pullaccess7" || bridge["isGateway"] != false || bridge["ipMasq"] != false {
		t.Errorf("pods' network = %v, want bridge pullaccess7 with no way out", bridge)
	}
}

func TestWriteFilesKeepsToItsFolder(t *testing.T) {
	for _, host := range []string{"../../etc", "..", "a/b", "."} {
		s, err := parse(append(arguments(t.TempDir()), "--registries="+host))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.writeFiles(); err == nil || !strings.Contains(err.Error(), "is no host name") {
			t.Errorf("registry host %q: error = %v, want a refusal", host, err)
		}
	}
}

func TestHandDownControllers(t *testing.T) {
	for name, tc := range map[string]struct {
		there, given string
		wantWritten  string
	}{
		"all given already":     {"cpu io memory pids", "cpu memory pids io", "cpu memory pids io"},
		"one to give":           {"cpu io memory", "memory", "+cpu"},
		"only kubelet's wanted": {"io rdma", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			mount := t.TempDir()
			control := filepath.Join(mount, "cgroup.subtree_control")
			for file, text := range map[string]string{filepath.Join(mount, "cgroup.controllers"): tc.there, control: tc.given} {
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := handDownControllers(mount); err != nil {
				t.Fatal(err)
			}
			// A real one adds what is written; this one keeps the last word.
			if written, err := os.ReadFile(control); err != nil || string(written) != tc.wantWritten {
				t.Errorf("subtree_control = %q (%v), want %q", written, err, tc.wantWritten)
			}
		})
	}
}

func TestLockFolder(t *testing.T) {
	dir := t.TempDir()
	held, err := lockFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockFolder(dir); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("second lock: error = %v, want it refused: the sweep would take a living node's folder", err)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := lockFolder(dir)
	if err != nil {
		t.Fatalf("lock after its holder's end: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}
