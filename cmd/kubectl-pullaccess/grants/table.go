// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/printers"
	"sigs.k8s.io/yaml"

	"github.com/pull-access/pull-access-operator/cmd/kubectl-pullaccess/report"
)

// write writes the document in one of the formats of reports.
func write(out io.Writer, d document, format string, now time.Time) error {
	var text bytes.Buffer
	var err error
	switch format {
	case report.JSON:
		err = report.EncodeJSON(&text, d)
	case report.YAML:
		var data []byte
		data, err = yaml.Marshal(d)
		text.Write(data)
	default:
		table(&text, d, format == report.Wide, now)
	}
	if err != nil {
		return err
	}
	_, err = out.Write(text.Bytes())
	return err
}

// table has a row for each grant.
func table(text *bytes.Buffer, d document, wide bool, now time.Time) {
	w := printers.GetNewTabWriter(text)
	header := []string{"NAME", "REPOSITORY", "ACCOUNT", "STATE", "WHY", "SINCE", "UNTIL", "LAST USED", "WORKLOADS"}
	if wide {
		header = append(header, "ORIGIN", "POLICY GENERATION", "REVIEW", "MESSAGE")
	}
	row(w, header)
	for i := range d.Grants {
		g := &d.Grants[i]
		cells := []string{
			g.Name, g.Repository, g.Account, g.State, fmt.Sprintf("%s (%s)", g.Workload, g.Policy),
			ago(g.since, now), ahead(g.until, now), ago(g.lastUsed, now), fmt.Sprintf("%d/%d", g.Workloads.Recovered, g.Workloads.Count),
		}
		if wide {
			cells = append(cells, orNone(g.Origin), generation(g.PolicyGeneration), orNone(g.Review.String()), orNone(g.Message))
		}
		row(w, cells)
	}
	_ = w.Flush() // Into memory.
}

func row(w io.Writer, cells []string) {
	_, _ = fmt.Fprintln(w, strings.Join(cells, "\t")) // Into memory.
}

// String says who has decided what.
func (r review) String() string {
	if r.Decision == "" {
		return ""
	}
	return r.Decision + " by " + r.User
}

func generation(n int64) string {
	if n == 0 {
		return orNone("")
	}
	return strconv.FormatInt(n, 10)
}

// ago is how long ago t was, as kubectl shows ages.
func ago(t *metav1.Time, now time.Time) string {
	if t.IsZero() {
		return orNone("")
	}
	return duration.HumanDuration(max(0, now.Sub(t.Time)))
}

// ahead is how long it is until t. What is due and has not come waits for the operator.
func ahead(t *metav1.Time, now time.Time) string {
	switch {
	case t.IsZero():
		return orNone("")
	case !now.Before(t.Time):
		return "due"
	default:
		return "in " + duration.HumanDuration(t.Sub(now))
	}
}
