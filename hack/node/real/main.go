// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command real is one node of the local cluster: containerd, runc and kubelet in a process and mount namespace of their own,
// so that the host's own container runtime is neither seen nor touched, and the kernel itself ends every container with us.
//
// It runs in two roles. The supervisor makes the node's network, control group and files, starts the node, and removes it
// all again. The node's init (process 1 of the namespace) mounts, starts containerd and kubelet, and collects dead children.
package main

import (
	"flag"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
)

// spec is what a node is to be. Both roles get it, as the same flags.
type spec struct {
	name        string
	providerID  string
	labels      string
	kubeconfig  string
	clientCA    string
	metadataURL string
	registryURL string
	registries  []string
	anonymous   bool
	pauseImage  string
	dir         string
	logPrefix   string
	bin         string
	// address is the node's own; the supervisor sets it.
	address net.IP
}

func main() {
	s, err := parse(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	role := supervise
	if os.Getpid() == 1 {
		role = runInside
	}
	if err := role(s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// parse reads the flags and refuses a spec that could not become a node.
func parse(args []string) (spec, error) {
	var s spec
	var registries, address string
	flags := flag.NewFlagSet("real", flag.ContinueOnError)
	flags.StringVar(&s.name, "name", "", "the node's name")
	flags.StringVar(&s.providerID, "provider-id", "", "the node's spec.providerID, gce://PROJECT/ZONE/INSTANCE")
	flags.StringVar(&s.labels, "labels", "", "labels of the node, KEY=VALUE,...")
	flags.StringVar(&s.kubeconfig, "kubeconfig", "", "kubelet's credentials for the API server")
	flags.StringVar(&s.clientCA, "client-ca", "", "the authority whose clients kubelet's own API admits, for logs and exec")
	flags.StringVar(&s.metadataURL, "metadata-url", "", "the metadata server that gives the node account's token")
	flags.StringVar(&s.registryURL, "registry", "", "the registry that stands in for all registries")
	flags.StringVar(&registries, "registries", "", "registry hosts to name in containerd's configuration, HOST,...")
	flags.BoolVar(&s.anonymous, "anonymous", false, "run kubelet without a credential provider")
	flags.StringVar(&s.pauseImage, "pause-image", "", "the sandbox image")
	flags.StringVar(&s.dir, "dir", "", "the node's own folder; it is removed at the end")
	flags.StringVar(&s.logPrefix, "log-prefix", "", "path that the names of the log files are appended to")
	flags.StringVar(&s.bin, "bin", "", "folders of kubelet, containerd, its shim and the credential provider, as in PATH")
	flags.StringVar(&address, "address", "", "set by the supervisor for the node's init")
	if err := flags.Parse(args); err != nil {
		return spec{}, fmt.Errorf("read the flags: %w", err)
	}
	if registries != "" {
		s.registries = strings.Split(registries, ",")
	}
	s.address = net.ParseIP(address)
	return s, s.validate()
}

func (s spec) validate() error {
	required := []struct{ flag, value string }{
		{"name", s.name},
		{"kubeconfig", s.kubeconfig},
		{"client-ca", s.clientCA},
		{"registry", s.registryURL},
		{"pause-image", s.pauseImage},
		{"dir", s.dir},
		{"log-prefix", s.logPrefix},
		{"bin", s.bin},
	}
	for _, r := range required {
		if r.value == "" {
			return fmt.Errorf("flag --%s is needed", r.flag)
		}
	}
	if s.metadataURL == "" && !s.anonymous {
		return fmt.Errorf("flag --metadata-url is needed, unless --anonymous is given")
	}
	for _, raw := range []string{s.registryURL, s.metadataURL} {
		if err := onLoopback(raw); raw != "" && err != nil {
			return err
		}
	}
	return nil
}

// onLoopback refuses any address that would let the node's traffic leave the machine.
func onLoopback(raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return fmt.Errorf("read address: %w", err)
	}
	if ip := net.ParseIP(u.Hostname()); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("address %q is not on loopback", raw)
	}
	return nil
}

// flags returns the flags that make the same spec again.
func (s spec) flags() []string {
	return []string{
		"--name=" + s.name, "--provider-id=" + s.providerID, "--labels=" + s.labels, "--kubeconfig=" + s.kubeconfig,
		"--client-ca=" + s.clientCA,
		"--metadata-url=" + s.metadataURL, "--registry=" + s.registryURL, "--registries=" + strings.Join(s.registries, ","),
		fmt.Sprintf("--anonymous=%t", s.anonymous), "--pause-image=" + s.pauseImage, "--dir=" + s.dir,
		"--log-prefix=" + s.logPrefix, "--bin=" + s.bin, "--address=" + s.address.String(),
	}
}
