// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	encoding "encoding/csv"
	"io"
	"strconv"
	"strings"

	"github.com/pull-access/pull-access-operator/internal/audit"
)

// columns are the header of -o csv.
var columns = []string{"repository", "member", "role", "level", "conditional", "operator", "grant", "findings", "unknown"}

// writeCSV has a row for each principal. What has no row of a principal has one of
// its own, so that a spreadsheet misses nothing: a finding about a member that is
// gone, with no role, and whatever is not known, with the column "unknown" alone.
func (d document) writeCSV(out io.Writer) error {
	w := encoding.NewWriter(out)
	rows := [][]string{columns}
	for _, r := range d.Repositories {
		for _, p := range r.Principals {
			rows = append(rows, []string{
				r.Repository, p.Member, p.Role, p.Level, strconv.FormatBool(p.Conditional), p.Operator, p.Grant, strings.Join(p.Findings, " "), "",
			})
		}
		for _, unknown := range r.Unknown {
			rows = append(rows, []string{r.Repository, "", "", "", "", "", "", "", unknown})
		}
	}
	for _, f := range d.Findings {
		if f.Reason == string(audit.RemovedMember) {
			rows = append(rows, []string{f.Repository, f.Member, "", f.Level, "", "", f.Grant, f.Reason, ""})
		}
	}
	for _, note := range d.Notes {
		rows = append(rows, []string{"", "", "", "", "", "", "", "", note})
	}
	for _, row := range rows {
		for i, cell := range row {
			row[i] = inert(cell)
		}
		if err := w.Write(row); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}

// inert keeps a spreadsheet from taking a cell for a formula. Nothing that Google or
// Kubernetes accepts as a name begins like one, so what does is not what it seems;
// line breaks and tabs are gone by then.
func inert(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}
