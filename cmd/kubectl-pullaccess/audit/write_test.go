// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	encoding "encoding/csv"
	"errors"
	"strings"
	"testing"
	"unicode"

	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/report"
	"github.com/pull-access/pull-access-operator/internal/audit"
	"github.com/pull-access/pull-access-operator/internal/imageref"
)

func written(t *testing.T, d document, format string) string {
	t.Helper()
	var out bytes.Buffer
	if err := d.write(&out, format); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// hostile is a report in which every text is somebody else's.
func hostile(text string) audit.Report {
	r := imageref.Repository{Project: text, Location: text, Name: text}
	return audit.Report{
		Repositories: []audit.Repository{{
			Repository: r, Unknown: []string{text},
			Principals: []audit.Principal{{Member: text, Role: text, Level: audit.OfRepository, Grant: text, Findings: []audit.Reason{audit.PublicAccess}}},
		}},
		Findings: []audit.Finding{{
			Reason: audit.RemovedMember, Level: audit.OfRepository, Project: text, Repository: r,
			Member: text, Role: text, Grant: text, Sentence: text, Command: text,
		}},
	}
}

// TestShowsNoControlCharacters: nothing that a terminal would obey comes through, from no field and in no format.
func TestShowsNoControlCharacters(t *testing.T) {
	const text = "a\x1b]0;title\x07\x00\r\nb\tc\u202e\u009b31m\u2028\xff"
	d := newDocument(hostile(text), []string{text})
	for _, format := range formats() {
		got := written(t, d, format)
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

// TestNoFormulas: no cell of a spreadsheet begins as a formula does.
func TestNoFormulas(t *testing.T) {
	for _, text := range []string{`=HYPERLINK("http://192.0.2.1","x")`, "+1", "-1", "@SUM(1)", "\t=1", "\r=1"} {
		rows, err := encoding.NewReader(strings.NewReader(written(t, newDocument(hostile(text), []string{text}), asCSV))).ReadAll()
		if err != nil || len(rows) != 5 {
			t.Fatalf("%d rows, %v", len(rows), err)
		}
		for _, row := range rows {
			for _, cell := range row {
				if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r") {
					t.Errorf("%q becomes cell %q", text, cell)
				}
			}
		}
	}
}

type broken struct{ error }

func (b broken) Write([]byte) (int, error) { return 0, b.error }

func TestWriteFails(t *testing.T) {
	want := errors.New("no room")
	for _, format := range formats() {
		if err := newDocument(audit.Report{}, nil).write(broken{want}, format); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", format, err, want)
		}
	}
}

func TestNothingIsNull(t *testing.T) {
	got := written(t, newDocument(audit.Report{Repositories: []audit.Repository{{Principals: make([]audit.Principal, 1)}}}, nil), report.JSON)
	if strings.Contains(got, "null") {
		t.Errorf("a list is null in %s", got)
	}
}
