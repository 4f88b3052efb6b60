// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"debug/elf"
	"fmt"
	"os"
	"slices"
	"strings"
)

// origins are the packages that symbols are summed by; the first that a symbol's name holds has it.
var origins = []string{
	"google.golang.org/api/container", "google.golang.org/api/policytroubleshooter", "google.golang.org/api/",
	"cloud.google.com/go/artifactregistry", "cloud.google.com/go/auth", "cloud.google.com/go/compute/metadata", "cloud.google.com/go/iam",
	"cloud.google.com/go/longrunning", "cloud.google.com/go/",
	"github.com/googleapis/", "google.golang.org/genproto", "google.golang.org/grpc", "google.golang.org/protobuf", "go.opentelemetry.io",
	"github.com/pull-access/pull-access-operator",
	"k8s.io/api/core", "k8s.io/api/", "k8s.io/apimachinery", "k8s.io/apiextensions-apiserver", "k8s.io/client-go/applyconfigurations",
	"k8s.io/client-go/kubernetes/scheme", "k8s.io/client-go/kubernetes", "k8s.io/client-go/", "k8s.io/kube-openapi", "k8s.io/",
	"sigs.k8s.io/controller-runtime", "sigs.k8s.io/", "github.com/google/gnostic-models", "github.com/prometheus", "go.uber.org/zap",
	"golang.org/x/", "crypto/", "net/http", "github.com/", "gopkg.in/", "go.yaml.in/",
}

const others = "Go's own library and runtime, and the rest"

// unnamed are sections in which the linker leaves most data without a name of its own.
var unnamed = map[string]string{
	".gopclntab": "line tables, of all packages",
	".rodata":    "types, strings and other constants, of all packages",
}

// binary sums the operator's binary by the packages that its parts come from.
func (b *bench) binary(ctx context.Context) error {
	if err := b.makeManager(ctx); err != nil {
		return err
	}
	path := b.manager + "-symbols"
	if err := build(ctx, "./cmd/manager", path); err != nil {
		return err
	}
	defer os.Remove(path)
	sums, all, err := sizes(path)
	if err != nil {
		return fmt.Errorf("read the operator's symbols: %w", err)
	}
	info, err := os.Stat(b.manager)
	if err != nil {
		return err
	}
	t := &table{
		title: fmt.Sprintf("The operator's binary: %.1f MB as it is released, %.1f MB of it code and data, which come from",
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

// sizes sums the sections of a program that take room in memory and in its file: by symbol, and what has none by section.
func sizes(path string) (sums []sum, all int64, err error) {
	file, err := elf.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer file.Close()
	symbols, err := file.Symbols()
	if err != nil {
		return nil, 0, err
	}
	by, left := map[string]int64{}, map[int]int64{}
	for i, section := range file.Sections {
		if section.Flags&elf.SHF_ALLOC != 0 && section.Type != elf.SHT_NOBITS {
			left[i] = int64(section.Size)
			all += int64(section.Size)
		}
	}
	for _, s := range symbols {
		i := int(s.Section)
		if _, counts := left[i]; !counts || unnamed[file.Sections[i].Name] != "" && strings.HasPrefix(s.Name, "runtime.") {
			continue // Symbols of the runtime enclose what others name.
		}
		n := min(int64(s.Size), left[i])
		by[originOf(s.Name)] += n
		left[i] -= n
	}
	for i, n := range left {
		by[cmp.Or(unnamed[file.Sections[i].Name], others)] += n
	}
	for origin, n := range by {
		sums = append(sums, sum{origin, n})
	}
	slices.SortFunc(sums, func(a, b sum) int { return cmp.Compare(b.bytes, a.bytes) })
	return sums, all, nil
}

func originOf(symbol string) string {
	for _, origin := range origins {
		if strings.Contains(symbol, origin) {
			return origin
		}
	}
	return others
}
