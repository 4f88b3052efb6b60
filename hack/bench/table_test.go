// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTable(t *testing.T) {
	tb := &table{title: "Storms", head: []string{"counted", "100 pods", "target"}}
	tb.add("reads", []cell{exactly(5, 5)}, "1 each")
	tb.add("writes", []cell{exactly(6, 5)}, "")
	tb.add("most Events", []cell{atMost(1, 1)}, "1")
	tb.add("peak", []cell{megabytes(3 << 20)}, "")
	var out strings.Builder
	tb.print(&out)
	want := `
Storms

counted                 100 pods  target
----------------------------------------
reads                5 of 5 held  1 each
writes             6 of 5 MISSED
most Events  1 of at most 1 held  1
peak                      3.0 MB
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
	if got := tb.missed(); got != 1 {
		t.Errorf("%d counts were missed, want 1", got)
	}
}

func TestQuantile(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[len(hundred)-1-i] = time.Duration(i + 1)
	}
	for name, tc := range map[string]struct {
		values []time.Duration
		part   float64
		want   time.Duration
	}{
		"none":        {nil, 0.5, 0},
		"one":         {hundred[:1], 0.99, 100},
		"half":        {hundred, 0.5, 50},
		"nearly all":  {hundred, 0.99, 99},
		"all of them": {hundred, 1, 100},
	} {
		t.Run(name, func(t *testing.T) {
			if got := quantile(append([]time.Duration(nil), tc.values...), tc.part); got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
		})
	}
}

// TestJudge takes from a failure's time what passed in the cloud, calls at the same time once.
func TestJudge(t *testing.T) {
	zero := time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC)
	at := func(ms int) time.Time { return zero.Add(time.Duration(ms) * time.Millisecond) }
	const get, set = "/v1/r:getIamPolicy", "/v1/r:setIamPolicy"
	for name, tc := range map[string]struct {
		calls []call
		want  aloneCase
	}{
		"no other call": {[]call{{set, at(100), at(400)}}, aloneCase{whole: 100 * time.Millisecond}},
		"one after the other": {
			[]call{{get, at(10), at(310)}, {get, at(400), at(700)}, {set, at(750), at(1050)}},
			aloneCase{750 * time.Millisecond, 600 * time.Millisecond, 2},
		},
		"at the same time": {
			[]call{{get, at(10), at(310)}, {get, at(20), at(320)}, {set, at(400), at(700)}},
			aloneCase{400 * time.Millisecond, 310 * time.Millisecond, 2},
		},
		"before the failure": {
			[]call{{get, at(-500), at(-200)}, {get, at(-100), at(200)}, {set, at(300), at(600)}},
			aloneCase{300 * time.Millisecond, 200 * time.Millisecond, 0},
		},
		"still open at the write": {
			[]call{{get, at(100), time.Time{}}, {set, at(300), at(600)}},
			aloneCase{300 * time.Millisecond, 200 * time.Millisecond, 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := judge(zero, tc.calls)
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(aloneCase{})); diff != "" {
				t.Errorf("case (-want +got):\n%s", diff)
			}
		})
	}
}

func TestShapeOf(t *testing.T) {
	for pods, want := range map[int]shape{
		20:    {pods: 20, deployments: 1, namespaces: 1, repositories: 1, nodes: 4},
		100:   {pods: 100, deployments: 5, namespaces: 1, repositories: 5, nodes: 4},
		1000:  {pods: 1000, deployments: 50, namespaces: 5, repositories: 20, nodes: 14},
		10000: {pods: 10000, deployments: 500, namespaces: 50, repositories: 20, nodes: 138},
	} {
		if got := shapeOf(pods); got != want {
			t.Errorf("shape of %d pods: %+v, want %+v", pods, got, want)
		}
	}
}
