// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// origins are the packages that symbols are summed by; the first that a symbol's name holds has it.
var origins = []string{
	"cloud.google.com/go/artifactregistry/apiv1/artifactregistrypb", "cloud.google.com/go/artifactregistry",
	"cloud.google.com/go/policytroubleshooter", "cloud.google.com/go/container", "cloud.google.com/go/compute/metadata", "cloud.google.com/go/compute",
	"cloud.google.com/go/iam", "cloud.google.com/go/longrunning", "cloud.google.com/go/auth", "cloud.google.com/go",
	"google.golang.org/api/compute", "google.golang.org/api/container", "google.golang.org/api",
	"google.golang.org/genproto", "google.golang.org/grpc", "google.golang.org/protobuf", "github.com/googleapis", "go.opentelemetry.io",
	"github.com/pull-access/pull-access-operator",
	"k8s.io/api/", "k8s.io/apimachinery", "k8s.io/client-go/kubernetes", "k8s.io/client-go/applyconfigurations", "k8s.io/client-go/informers",
	"k8s.io/client-go", "k8s.io/apiextensions-apiserver", "k8s.io/kube-openapi", "k8s.io/", "sigs.k8s.io/controller-runtime", "sigs.k8s.io/",
	"github.com/google/gnostic", "github.com/prometheus", "go.uber.org/zap", "golang.org/x/", "crypto/", "net/http", "net",
}

// binary sums the symbols of the operator by the package that they come from.
func (b *bench) binary(ctx context.Context) error {
	unstripped := b.manager + "-symbols"
	if err := build(ctx, "./cmd/manager", unstripped); err != nil {
		return err
	}
	defer os.Remove(unstripped)
	cmd := exec.CommandContext(ctx, "go", "tool", "nm", "-size", "-sort", "size", unstripped)
	output, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("read the operator's symbols: %w", err)
	}
	sums, all := sizes(output)
	info, err := os.Stat(b.manager)
	if err != nil {
		return err
	}
	t := &table{
		title: fmt.Sprintf("The operator's binary: %.1f MB as it is released; what its symbols, %.1f MB, come from",
			float64(info.Size())/megabyte, float64(all)/megabyte),
		head: []string{"packages", "size", "share", ""},
	}
	for _, s := range sums {
		t.add(s.origin, []cell{figure("%.0f KB", float64(s.bytes)/1024), figure("%.1f %%", 100*float64(s.bytes)/float64(all))}, "")
	}
	b.show(t)
	return nil
}

type sum struct {
	origin string
	bytes  int64
}

// sizes reads lines of ADDRESS SIZE TYPE NAME. What takes no room in the file is left out.
func sizes(output []byte) (sums []sum, all int64) {
	by := map[string]int64{}
	lines := bufio.NewScanner(bytes.NewReader(output))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || strings.EqualFold(fields[2], "b") || fields[2] == "U" {
			continue
		}
		n, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			continue
		}
		by[originOf(strings.Join(fields[3:], " "))] += n
		all += n
	}
	for origin, n := range by {
		sums = append(sums, sum{origin, n})
	}
	slices.SortFunc(sums, func(a, b sum) int { return cmp.Compare(b.bytes, a.bytes) })
	return sums, all
}

func originOf(symbol string) string {
	switch {
	case strings.HasPrefix(symbol, "runtime.pclntab"), strings.HasPrefix(symbol, "runtime.epclntab"):
		return "line tables of all functions"
	case strings.HasPrefix(symbol, "type:*"), strings.HasPrefix(symbol, "type:."), strings.HasPrefix(symbol, "go:"):
	}
	for _, origin := range origins {
		if strings.Contains(symbol, origin) {
			return origin
		}
	}
	return "Go's own, and others"
}
