// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package docs_test holds the documentation to what is there: its links, its
// policies, its flags and its reasons.
package docs_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"

	"github.com/pull-access/pull-access-operator/api/v1alpha1"
	"github.com/pull-access/pull-access-operator/cmd/manager/app"
)

const readme = "../README.md"

// pages are all pages of documentation, and what each says.
func pages(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, name := range append(names, readme) {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(data)
	}
	return all
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	fence   = regexp.MustCompile("(?ms)^ *```(\\w*)\n(.*?)^ *```$")
)

// anchors are the names under which the headings of a page can be linked.
func anchors(page string) []string {
	var names []string
	for _, h := range heading.FindAllStringSubmatch(fence.ReplaceAllString(page, ""), -1) {
		kept := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
				return r
			default:
				return -1
			}
		}, strings.ToLower(h[1]))
		names = append(names, kept)
	}
	return names
}

func TestLinks(t *testing.T) {
	all := pages(t)
	seen := 0
	for name, page := range all {
		for _, l := range link.FindAllStringSubmatch(page, -1) {
			if strings.Contains(l[1], "://") {
				continue
			}
			seen++
			path, anchor, _ := strings.Cut(l[1], "#")
			target := name
			if path != "" {
				target = filepath.Join(filepath.Dir(name), path)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which is not there", name, l[1])
				continue
			}
			linked := all[strings.TrimPrefix(target, "../docs/")]
			if anchor != "" && !slices.Contains(anchors(linked), anchor) {
				t.Errorf("%s links to %s, but %s has no such heading", name, l[1], target)
			}
		}
	}
	if seen == 0 {
		t.Error("no link was found: the test looks at nothing")
	}
}

// TestPolicies: what the pages show as a policy has the fields of one.
func TestPolicies(t *testing.T) {
	seen := 0
	for name, page := range pages(t) {
		for _, block := range fence.FindAllStringSubmatch(page, -1) {
			if block[1] != "yaml" || !strings.Contains(block[2], "kind: PullAccessPolicy") {
				continue
			}
			seen++
			var policy v1alpha1.PullAccessPolicy
			if err := utilyaml.UnmarshalStrict([]byte(block[2]), &policy); err != nil {
				t.Errorf("%s shows a policy that is none: %v", name, err)
			}
		}
	}
	if seen == 0 {
		t.Error("no policy was found: the test looks at nothing")
	}
}

// TestFlags: the README's table has the flags that the operator has, and no other.
func TestFlags(t *testing.T) {
	var usage strings.Builder
	if _, err := app.ParseFlags([]string{"--help"}, &usage); !errors.Is(err, pflag.ErrHelp) {
		t.Fatalf("--help: got %v, want %v", err, pflag.ErrHelp)
	}
	var have, want []string
	for _, flag := range regexp.MustCompile(`(?m)^ +(?:-\w, )?(--[a-z-]+)`).FindAllStringSubmatch(usage.String(), -1) {
		want = append(want, flag[1])
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `(--[a-z-]+)`").FindAllStringSubmatch(pages(t)[readme], -1) {
		have = append(have, row[1])
	}
	if len(want) == 0 || !slices.Equal(have, want) {
		t.Errorf("the README has flags %v, want %v", have, want)
	}
}

// TestMakeTargets: what the pages tell people to make can be made.
func TestMakeTargets(t *testing.T) {
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for name, page := range pages(t) {
		for _, target := range regexp.MustCompile("(?m)(?:`|^ *|=1 )make ([a-z-]+)").FindAllStringSubmatch(page, -1) {
			seen++
			if !regexp.MustCompile(`(?m)^` + target[1] + `:`).Match(makefile) {
				t.Errorf("%s says make %s, which cannot be made", name, target[1])
			}
		}
	}
	if seen == 0 {
		t.Error("no target was found: the test looks at nothing")
	}
}

// TestReasons: every reason in the README's tables is one that the code knows.
func TestReasons(t *testing.T) {
	var code strings.Builder
	for _, pattern := range []string{"../api/v1alpha1/*.go", "../internal/*/*.go"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			code.Write(data)
		}
	}
	_, tables, found := strings.Cut(pages(t)[readme], "\n| event on the pod |")
	if !found {
		t.Fatal("the README has no table of events")
	}
	for _, reason := range regexp.MustCompile("`([A-Z][a-z]+(?:[A-Z][a-zA-Z]+)?)`").FindAllStringSubmatch(tables, -1) {
		if !strings.Contains(code.String(), `"`+reason[1]+`"`) {
			t.Errorf("the README explains %s, which the code does not know", reason[1])
		}
	}
}
