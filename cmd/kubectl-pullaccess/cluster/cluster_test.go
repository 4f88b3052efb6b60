// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"os"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/exit"
)

// TestNoKubeconfig: the guess that a cluster is on localhost is said to be one.
func TestNoKubeconfig(t *testing.T) {
	const hint = "; no kubeconfig was found, see --kubeconfig and --context"
	unreached, usage := exit.Unreached(errors.New("gone")), errors.New("gone")
	none := "apiVersion: v1\nkind: Config\n"
	one := none + "clusters: [{name: c, cluster: {server: 'https://192.0.2.1'}}]\n" +
		"contexts: [{name: c, context: {cluster: c}}]\ncurrent-context: c\n"
	for name, tc := range map[string]struct {
		kubeconfig, server string
		err                error
		hinted             bool
	}{
		"none":            {none, "", unreached, true},
		"none, of no use": {none, "", usage, false},
		"server named":    {none, "https://192.0.2.1", unreached, false},
		"guess named":     {none, "http://localhost:8080", unreached, false},
		"found":           {one, "", unreached, false},
		"found as guess":  {strings.Replace(one, "https://192.0.2.1", "http://localhost:8080", 1), "", unreached, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("KUBERNETES_SERVICE_HOST", "") // Else this may be a pod, which knows its cluster.
			kubeconfig := t.TempDir() + "/config"
			if err := os.WriteFile(kubeconfig, []byte(tc.kubeconfig), 0o600); err != nil {
				t.Fatal(err)
			}
			config := genericclioptions.NewConfigFlags(false)
			config.KubeConfig, config.APIServer = &kubeconfig, &tc.server
			got := Hinted(config, tc.err)
			if strings.HasSuffix(got.Error(), hint) != tc.hinted || exit.Code(got) != exit.Code(tc.err) {
				t.Errorf("it says %q and ends with %d", got, exit.Code(got))
			}
		})
	}
}
