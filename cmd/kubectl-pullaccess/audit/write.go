// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"k8s.io/cli-runtime/pkg/printers"

	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/report"
	"github.com/pull-access/pull-access-operator/internal/audit"
)

// asCSV is the format that only an audit has.
const asCSV = "csv"

func formats() []string { return []string{report.Table, report.JSON, asCSV} }

// write writes the document in one of the formats.
func (d document) write(out io.Writer, format string) error {
	var text bytes.Buffer
	var err error
	switch format {
	case report.JSON:
		err = report.EncodeJSON(&text, d)
	case asCSV:
		err = d.writeCSV(&text)
	default:
		d.writeTable(&text)
		d.writeDetails(&text)
	}
	if err != nil {
		return err
	}
	_, err = out.Write(text.Bytes())
	return err
}

// writeTable has a row for each principal. What a project's policy says is shown
// once, below the first of its repositories that are looked at.
func (d document) writeTable(text *bytes.Buffer) {
	var rows [][]string
	shown := map[string]bool{}
	for _, r := range d.Repositories {
		project, _, _ := strings.Cut(r.Repository, "/")
		if !slices.ContainsFunc(r.Principals, func(p principal) bool { return p.Level == string(audit.OfRepository) }) {
			rows = append(rows, []string{r.Repository, nobody(r), "-", "-", "-", "-", "-"})
		}
		for _, p := range r.Principals {
			where := r.Repository
			if p.Level == string(audit.OfProject) {
				if shown[project] {
					continue
				}
				where = "all of " + project
			}
			rows = append(rows, []string{where, p.Member, p.Role, yes(p.Conditional), orNone(strings.ToLower(p.Operator)), orNone(p.Grant), orNone(strings.Join(p.Findings, ","))})
		}
		shown[project] = true
	}
	if len(rows) == 0 {
		return
	}
	w := printers.GetNewTabWriter(text)
	for _, row := range slices.Insert(rows, 0, []string{"REPOSITORY", "PRINCIPAL", "ROLE", "CONDITION", "OPERATOR", "GRANT", "FINDINGS"}) {
		_, _ = fmt.Fprintln(w, strings.Join(row, "\t")) // Into memory.
	}
	_ = w.Flush() // Into memory.
}

// writeDetails says below the table what was found and what to do, the command on a
// line of its own to be pasted.
func (d document) writeDetails(text *bytes.Buffer) {
	if len(d.Repositories) == 0 {
		fmt.Fprintln(text, "No repository is named by a PullAccessPolicy or a PullAccessGrant.")
	}
	for _, f := range d.Findings {
		fmt.Fprintf(text, "\n%s: %s\n  %s\n", f.Reason, cmp.Or(f.Repository, "all of "+f.Project), f.Sentence)
		if f.Command != "" {
			fmt.Fprintf(text, "  Next:\n    %s\n", f.Command)
		}
	}
	for _, r := range d.Repositories {
		if len(r.Unknown) == 0 {
			continue
		}
		fmt.Fprintf(text, "\nNot known of %s:\n", r.Repository)
		for _, unknown := range r.Unknown {
			fmt.Fprintf(text, "    %s\n", unknown)
		}
	}
	for i, note := range d.Notes {
		if i == 0 {
			fmt.Fprintln(text)
		}
		fmt.Fprintf(text, "Note: %s\n", note)
	}
	if len(d.Repositories) > 0 {
		fmt.Fprintf(text, "\n%s. Not looked at: folders, the organization, deny policies, members of groups.\n", report.Count(len(d.Findings), "finding"))
	}
}

// nobody stands for the readers of a repository that has none by its own policy, or
// none that is known.
func nobody(r repository) string {
	if len(r.Unknown) > 0 {
		return "(not known)"
	}
	return "(nobody)"
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return orNone("")
}

func orNone(s string) string { return cmp.Or(s, "-") }
