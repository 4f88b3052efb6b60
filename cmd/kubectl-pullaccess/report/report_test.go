// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/outage"
	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/source"
	"github.com/pull-access/pull-access-operator/internal/diagnosis"
	"github.com/pull-access/pull-access-operator/internal/explanation"
	"github.com/pull-access/pull-access-operator/internal/pullfailure"
)

func written(t *testing.T, d Document, format string, colored bool) string {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, d, format, colored); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// hostile is an outage in which every text is somebody else's.
func hostile(text string) outage.Outage {
	facts := diagnosis.Facts{Image: text, Cause: pullfailure.Verdict{Cause: pullfailure.Ambiguous, Evidence: text, Candidates: []pullfailure.Cause{pullfailure.TLS}}}
	facts.Reference.Registry, facts.Puller.Email = text, text
	facts.Reference.Repository.Name = text
	return outage.Outage{
		Finding: outage.Finding{
			Policy:      text,
			Diagnosis:   diagnosis.Diagnosis{Reason: diagnosis.AccessMissing, Facts: facts},
			Explanation: explanation.Explanation{Reason: "AccessMissing", Help: diagnosis.HelpYes, Sentence: text, NextStep: text},
		},
		PodCount: 1, Images: []string{text, text}, Nodes: []string{text}, Unknowns: []string{text},
		Workloads: []outage.Affected{{
			Workload: source.Workload{Namespace: text, Kind: text, Name: text},
			Pods:     []string{text}, Containers: []string{text}, Images: []string{text}, Nodes: []string{text},
		}},
	}
}

// TestShowsNoControlCharacters: nothing that a terminal would obey comes through, from no field and in no format.
func TestShowsNoControlCharacters(t *testing.T) {
	d := New([]outage.Outage{hostile("a\x1b]0;title\x07\x00\r\nb\tc\u202e\u009b31m\u2028\xff")}, []string{"note\x1b[2J\n"})
	for _, format := range Formats() {
		got := written(t, d, format, false)
		for _, r := range got {
			if r != '\n' && r != ' ' && !unicode.IsPrint(r) {
				t.Errorf("%s holds %U:\n%q", format, r, got)
				break
			}
		}
		if !strings.Contains(got, "]0;title") {
			t.Errorf("%s shows nothing of the texts, so the test looks at nothing:\n%s", format, got)
		}
	}
}

// TestColor: colours are there when asked for, and change no more than the colour.
func TestColor(t *testing.T) {
	one, two := hostile("x"), hostile("longer")
	two.Explanation.Help, two.Explanation.Reason = diagnosis.HelpNo, string(diagnosis.DeniedByPolicy)
	d := New([]outage.Outage{one, two}, nil)
	for _, format := range []string{Table, Wide} {
		plain, colored := written(t, d, format, false), written(t, d, format, true)
		if !strings.Contains(colored, green+"Yes") || !strings.Contains(colored, red+"No") {
			t.Errorf("no colours in\n%q", colored)
		}
		for _, code := range []string{standard, red, green, yellow, cyan} {
			colored = strings.ReplaceAll(colored, code, "")
		}
		if diff := cmp.Diff(fields(plain), fields(colored)); diff != "" {
			t.Errorf("colours change more (-plain +colored):\n%s", diff)
		}
		lines := strings.Split(colored, "\n")[:3]
		if a, b, c := strings.Index(lines[0], "WHO"), strings.Index(lines[1], "<none>"), strings.Index(lines[2], "<none>"); a != b || b != c {
			t.Errorf("columns are not aligned:\n%s", strings.Join(lines, "\n"))
		}
	}
	for _, format := range []string{JSON, YAML} {
		if diff := cmp.Diff(written(t, d, format, false), written(t, d, format, true)); diff != "" {
			t.Errorf("%s is colored:\n%s", format, diff)
		}
	}
}

// fields are the words of each line: colours widen columns by equal amounts.
func fields(text string) [][]string {
	var all [][]string
	for line := range strings.Lines(text) {
		all = append(all, strings.Fields(line))
	}
	return all
}

func TestMayColor(t *testing.T) {
	tests := map[string]struct {
		environment map[string]string
		want        bool
	}{
		"nothing set":     {nil, true},
		"a terminal":      {map[string]string{"TERM": "xterm-256color"}, true},
		"NO_COLOR":        {map[string]string{"NO_COLOR": "1"}, false},
		"NO_COLOR, of 0":  {map[string]string{"NO_COLOR": "0"}, false},
		"NO_COLOR, empty": {map[string]string{"NO_COLOR": ""}, true},
		"dumb":            {map[string]string{"TERM": "dumb"}, false},
		"both":            {map[string]string{"NO_COLOR": "1", "TERM": "dumb"}, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := mayColor(func(key string) string { return tc.environment[key] }); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestColoredIsForTerminals(t *testing.T) {
	if Colored(&bytes.Buffer{}) {
		t.Error("a buffer is no terminal")
	}
}

// TestLongLists are cut in the text, with the count of the rest, and whole in JSON.
func TestLongLists(t *testing.T) {
	o := hostile("x")
	o.Images = nil
	for i := range 25 {
		o.Images = append(o.Images, fmt.Sprintf("image-%02d", i))
	}
	d := New([]outage.Outage{o}, nil)
	got := written(t, d, Table, false)
	if !strings.Contains(got, "image-09") || strings.Contains(got, "image-10") || !strings.Contains(got, "… and 15 more") || !strings.Contains(got, "(25 images)") {
		t.Errorf("it prints\n%s", got)
	}
	if got := written(t, d, JSON, false); !strings.Contains(got, "image-24") {
		t.Errorf("it prints\n%s", got)
	}
}

// TestFormatsAgree: YAML says what JSON says, and every list is there.
func TestFormatsAgree(t *testing.T) {
	d := New([]outage.Outage{hostile("x"), {}}, nil)
	asJSON, asYAML := written(t, d, JSON, false), written(t, d, YAML, false)
	converted, err := yaml.YAMLToJSON([]byte(asYAML))
	if err != nil {
		t.Fatal(err)
	}
	fromJSON, err := yaml.JSONToYAML([]byte(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(fromJSON), asYAML); diff != "" {
		t.Errorf("(-JSON +YAML):\n%s", diff)
	}
	if strings.Contains(string(converted), "null") {
		t.Errorf("a list is null in %s", converted)
	}
}

type broken struct{ error }

func (b broken) Write([]byte) (int, error) { return 0, b.error }

func TestWriteFails(t *testing.T) {
	want := errors.New("no room")
	if err := Write(broken{want}, New(nil, nil), Table, false); !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}
