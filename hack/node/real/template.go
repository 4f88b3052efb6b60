// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

// containerdTemplate is containerd's configuration. runc may lower no oom_score_adj where the machine withholds
// CAP_SYS_RESOURCE, and then dies unless containerd keeps to what it has itself.
const containerdTemplate = `version = 3
root = {{printf "%q" .Root}}
state = {{printf "%q" .State}}
imports = []
disabled_plugins = ["io.containerd.nri.v1.nri"]

[grpc]
  address = {{printf "%q" .Socket}}

[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = {{printf "%q" .Pause}}

[plugins."io.containerd.cri.v1.images".registry]
  config_path = {{printf "%q" .Certs}}

[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  disable_apparmor = true

[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = ["/usr/lib/cni", "/opt/cni/bin"]
  conf_dir = {{printf "%q" .CNI}}

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
  SystemdCgroup = false
`

// hostsTemplate names the registry as the server itself, not as a mirror before it: after a mirror containerd would go on to
// the true host, beyond loopback.
const hostsTemplate = `server = {{printf "%q" .Registry}}
`

// bridgeTemplate is the pods' network. Neither gateway nor route: a pod reaches its node and its neighbours, nothing else,
// and neither the machine's forwarding nor its packet filter is touched.
const bridgeTemplate = `{
  "cniVersion": "1.0.0",
  "name": "bridge",
  "plugins": [{
    "type": "bridge",
    "bridge": {{printf "%q" .Bridge}},
    "isGateway": false,
    "ipMasq": false,
    "ipam": {
      "type": "host-local",
      "dataDir": {{printf "%q" .Leases}},
      "ranges": [[{"subnet": {{printf "%q" .Subnet}}}]]
    }
  }]
}
`

// kubeletTemplate is kubelet's configuration. It leaves the machine's limits alone: nothing is reserved or evicted, and no
// chain is put into the packet filter. Nobody answers as the cluster's name server, but without one each pod gets an event.
// Images are pulled side by side, as on GKE, and without kubelet's own rate limit: it would hide why the registry refuses.
const kubeletTemplate = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: {{printf "%q" .Address}}
healthzPort: 0
providerID: {{printf "%q" .ProviderID}}
containerRuntimeEndpoint: {{printf "unix://%s" .Socket | printf "%q"}}
cgroupDriver: cgroupfs
cgroupRoot: {{printf "/%s" .Bridge | printf "%q"}}
failCgroupV1: false
failSwapOn: false
enforceNodeAllocatable: []
evictionHard: {}
imageGCHighThresholdPercent: 100
serializeImagePulls: false
registryPullQPS: 0
localStorageCapacityIsolation: false
makeIPTablesUtilChains: false
oomScoreAdj: 0
podLogsDir: {{printf "%q" .Logs}}
clusterDNS: [{{printf "%q" .Address}}]
resolvConf: {{printf "%q" .Resolv}}
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: {{printf "%q" .ClientCA}}}
authorization:
  mode: Webhook
`

// providerTemplate has kubelet ask for credentials for the hosts that GKE asks for, at every pull.
const providerTemplate = `apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
- name: {{printf "%q" .Provider}}
  apiVersion: credentialprovider.kubelet.k8s.io/v1
  matchImages: ["gcr.io", "*.gcr.io", "*.pkg.dev", "*.*.rep.pkg.dev"]
  defaultCacheDuration: 0s
  args: [{{printf "--metadata-url=%s" .Metadata | printf "%q"}}]
`
