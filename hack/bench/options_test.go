// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	for name, tc := range map[string]struct {
		args  string
		parts string
		pods  []int
		storm []int
	}{
		"nothing":    {"", "binary alone storm hostile quiet", []int{0, 5000, 50000}, []int{100, 1000, 10000}},
		"all":        {"all -pods 0", "binary alone storm hostile quiet", []int{0}, []int{100, 1000, 10000}},
		"only flags": {"-storm 20", "binary alone storm hostile quiet", []int{0, 5000, 50000}, []int{20}},
		"one part":   {"storm -storm 100,1000", "storm", []int{0, 5000, 50000}, []int{100, 1000}},
		"held":       {"quiet -hold -pods 7", "quiet", []int{7}, []int{100, 1000, 10000}},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := parse(strings.Fields(tc.args), io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, p := range o.parts {
				names = append(names, p.name)
			}
			if got := strings.Join(names, " "); got != tc.parts {
				t.Errorf("parts %q, want %q", got, tc.parts)
			}
			if !slices.Equal(o.pods, tc.pods) || !slices.Equal(o.storm, tc.storm) {
				t.Errorf("pods %v and storm %v, want %v and %v", o.pods, o.storm, tc.pods, tc.storm)
			}
			if o.latency != 300*time.Millisecond || o.cases != 50 {
				t.Errorf("latency %s and %d cases, want 300ms and 50", o.latency, o.cases)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ args, names string }{
		"unknown part":       {"noise", `"noise"`},
		"unknown flag":       {"storm -pod 5", "-pod"},
		"argument":           {"storm -storm 100 1000", `"1000"`},
		"no number":          {"quiet -pods many", "-pods"},
		"no rise":            {"quiet -pods 5,5", "-pods"},
		"too many":           {"quiet -pods 100001", "-pods"},
		"part of Deployment": {"storm -storm 110", "-storm"},
		"no storm":           {"storm -storm 0", "-storm"},
		"no cases":           {"alone -cases 0", "-cases"},
		"too many faults":    {"alone -faulty 101", "-faulty"},
		"time without unit":  {"alone -latency 3", "-latency"},
		"back in time":       {"alone -latency -1s", "-latency"},
		"nothing to hold":    {"storm -hold", "-hold"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(strings.Fields(tc.args), io.Discard)
			if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), tc.names) {
				t.Errorf("got %v, want one sentence that names %s", err, tc.names)
			}
		})
	}
}

func TestHelpNamesEveryPartAndFlag(t *testing.T) {
	var help strings.Builder
	if _, err := parse([]string{"-h"}, &help); !errors.Is(err, flag.ErrHelp) {
		t.Fatalf("-h: %v", err)
	}
	for _, word := range []string{"quiet", "storm", "alone", "binary", "all", "-pods", "-storm", "-cases", "-faulty", "-latency", "-hold"} {
		if !strings.Contains(help.String(), word) {
			t.Errorf("the help does not name %s", word)
		}
	}
}
