// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

// provider is the file name of the credential provider, and by it kubelet finds its configuration.
const provider = "credentialprovider"

// Names of the files that the configuration refers to, below the node's folder.
const (
	containerdConfig = "containerd.toml"
	kubeletConfig    = "kubelet.yaml"
	providerConfig   = "credential-provider.yaml"
)

// values is what the templates know.
func (s spec) values() map[string]any {
	return map[string]any{
		"Address": s.address.String(), "Bridge": bridgeOf(s.address), "Subnet": subnetOf(s.address),
		"ProviderID": s.providerID, "ClientCA": s.clientCA, "Registry": s.registryURL, "Metadata": s.metadataURL,
		"Pause": s.pauseImage, "Provider": provider,
		"Socket": containerdSocket, "State": filepath.Dir(containerdSocket),
		"Root": s.path("containerd"), "Certs": s.path("certs.d"), "CNI": s.path("cni"), "Leases": s.path("leases"),
		"Logs": s.path("pods"), "Resolv": s.path("resolv.conf"),
	}
}

// path returns the path of a file in the node's folder.
func (s spec) path(elements ...string) string {
	return filepath.Join(append([]string{s.dir}, elements...)...)
}

// writeFiles writes all configuration of the node.
func (s spec) writeFiles() error {
	files := map[string]string{
		containerdConfig:         containerdTemplate,
		kubeletConfig:            kubeletTemplate,
		providerConfig:           providerTemplate,
		"cni/10-bridge.conflist": bridgeTemplate,
		"resolv.conf":            "",
		// Whatever host an image names, known or not, the request goes to the registry on loopback.
		"certs.d/_default/hosts.toml": hostsTemplate,
	}
	for _, host := range s.registries {
		if host != filepath.Base(host) || strings.HasPrefix(host, ".") {
			return fmt.Errorf("registry host %q is no host name", host)
		}
		files[filepath.Join("certs.d", host, "hosts.toml")] = hostsTemplate
	}
	for name, text := range files {
		if err := s.writeFile(name, text); err != nil {
			return err
		}
	}
	return nil
}

func (s spec) writeFile(name, text string) error {
	parsed, err := template.New(name).Option("missingkey=error").Parse(text)
	if err != nil {
		return fmt.Errorf("read template of %s: %w", name, err)
	}
	var out strings.Builder
	if err := parsed.Execute(&out, s.values()); err != nil {
		return fmt.Errorf("fill in %s: %w", name, err)
	}
	if err := os.MkdirAll(filepath.Dir(s.path(name)), 0o755); err != nil {
		return fmt.Errorf("make the folder of %s: %w", name, err)
	}
	if err := os.WriteFile(s.path(name), []byte(out.String()), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
