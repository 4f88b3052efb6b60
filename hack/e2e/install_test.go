// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestInstalls has the manifests take effect as they stand: the namespace's own pod security admits the operator's pods, a
// second apply finds nothing to change, and the samples are policies.
func TestInstalls(t *testing.T) {
	kubectl := func(args ...string) string {
		t.Helper()
		out, err := shared.Kubectl(t.Context(), args...)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return out
	}
	folder := func(name string) string { return filepath.Join(shared.root, "config", name) }
	t.Cleanup(func() {
		if _, err := shared.Kubectl(context.WithoutCancel(t.Context()), "scale", "deployment", operatorName,
			"--namespace="+operatorNamespace, "--replicas=0"); err != nil {
			t.Error(err)
		}
	})
	kubectl("scale", "deployment", operatorName, "--namespace="+operatorNamespace, "--replicas=2")
	eventually(t, "the operator's two pods are admitted", func(ctx context.Context) (bool, any) {
		var pods corev1.PodList
		err := shared.client.List(ctx, &pods, client.InNamespace(operatorNamespace))
		return err == nil && len(pods.Items) == 2, []any{err, len(pods.Items)}
	})
	// It fails when there is a difference.
	kubectl("diff", "--server-side", "-k", folder("default"))
	kubectl("apply", "--server-side", "-k", folder("default"))
	t.Cleanup(func() { clearCluster(t) })
	for _, verb := range []string{" created", " unchanged"} {
		lines := 0
		for line := range strings.Lines(kubectl("apply", "-k", folder("samples"))) {
			if lines++; !strings.HasSuffix(strings.TrimSpace(line), verb) {
				t.Errorf("applying the samples says %q, want%s", line, verb)
			}
		}
		if lines == 0 {
			t.Error("there are no samples")
		}
	}
	for _, short := range []string{"pap", "pag"} {
		kubectl("get", short, "-o", "wide")
	}
}

// TestWrongUsage calls the operator wrongly: it says one plain sentence and ends with code 2.
func TestWrongUsage(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(broken, []byte("clusters: 7"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"unknown flag":          {[]string{"--nope"}, "unknown flag: --nope"},
		"flag without a number": {[]string{"--verbosity=high"}, "--verbosity"},
		"argument":              {[]string{"start"}, `argument "start" is not expected`},
		"endpoint that is none": {[]string{"--kubeconfig=" + shared.operator, "--gcp-endpoint=127.0.0.1:8085"}, "must be a URL such as http://127.0.0.1:8085"},
		"no such kubeconfig":    {[]string{"--kubeconfig=" + filepath.Join(t.TempDir(), "none")}, "no such file or directory"},
		"broken kubeconfig":     {[]string{"--kubeconfig=" + broken}, "--kubeconfig"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), shared.manager, tc.args...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			err := cmd.Run()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 2 {
				t.Errorf("it ended with %v, want exit status 2", err)
			}
			said := strings.TrimSpace(stderr.String())
			if strings.Contains(said, "\n") || !strings.HasPrefix(said, "manager: ") || !strings.Contains(said, tc.want) {
				t.Errorf("it said %q, want one line with %q", said, tc.want)
			}
		})
	}
}
