// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"k8s.io/cli-runtime/pkg/printers"
	"sigs.k8s.io/yaml"
)

// The output formats.
const (
	Table = "table"
	Wide  = "wide"
	JSON  = "json"
	YAML  = "yaml"
)

// Formats lists the output formats.
func Formats() []string { return []string{Table, Wide, JSON, YAML} }

// CheckFormat refuses an output format that is not allowed, in kubectl's words.
func CheckFormat(given string, allowed []string) error {
	if slices.Contains(allowed, given) {
		return nil
	}
	return fmt.Errorf("unable to match a printer suitable for the output format %q, allowed formats are: %s", given, strings.Join(allowed, ","))
}

// Write writes the document in one of the formats; colored marks what helps and
// what does not, for terminals.
func Write(out io.Writer, d Document, format string, colored bool) error {
	var text bytes.Buffer
	var err error
	switch format {
	case JSON:
		err = EncodeJSON(&text, d)
	case YAML:
		var data []byte
		data, err = yaml.Marshal(d)
		text.Write(data)
	default:
		p := printer{&text, palette{colored}}
		p.table(d, format == Wide)
		p.details(d)
	}
	if err != nil {
		return err
	}
	_, err = out.Write(text.Bytes())
	return err
}

// EncodeJSON writes a document as all verbs write theirs.
func EncodeJSON(out io.Writer, document any) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(document)
}

type printer struct {
	*bytes.Buffer
	palette
}

// table has a row for each outage, or, if wide, for each workload of it.
func (p printer) table(d Document, wide bool) {
	if len(d.Outages) == 0 {
		return
	}
	w := printers.GetNewTabWriter(p)
	header := []string{"NAMESPACE", "WORKLOAD", "PODS", p.plain("REASON"), p.plain("GRANT HELPS"), "WHO ACTS", "IMAGE"}
	if wide {
		header = append(header, "PULLER", "CONTAINERS", "NODES", "CAUSE")
	}
	row(w, header)
	for i := range d.Outages {
		o := &d.Outages[i]
		if !wide {
			row(w, p.cells(o, namespaces(o), workloads(o), o.PodCount, o.Images))
			continue
		}
		for _, of := range o.Workloads {
			cells := p.cells(o, of.Namespace, of.String(), len(of.Pods), of.Images)
			row(w, append(cells, orNone(o.Puller), orNone(strings.Join(of.Containers, ",")), strconv.Itoa(len(of.Nodes)), o.Cause))
		}
	}
	_ = w.Flush() // Into memory.
}

func (p printer) cells(o *Outage, namespace, workload string, pods int, images []string) []string {
	image := firstOf(images)
	if len(images) > 1 { // What they have in common says more than the first of them.
		image = fmt.Sprintf("%s (%d images)", cmp.Or(o.Repository, o.Registry, images[0]), len(images))
	}
	return []string{
		namespace, workload, strconv.Itoa(pods), p.strong(o.Reason), p.byHelp(o.GrantHelps), orNone(o.Actor), image,
	}
}

func row(w io.Writer, cells []string) {
	_, _ = fmt.Fprintln(w, strings.Join(cells, "\t")) // Into memory.
}

func namespaces(o *Outage) string {
	var all []string
	for _, w := range o.Workloads {
		if !slices.Contains(all, w.Namespace) {
			all = append(all, w.Namespace)
		}
	}
	return firstOf(all)
}

func workloads(o *Outage) string {
	var all []string
	for _, w := range o.Workloads {
		all = append(all, w.String())
	}
	return firstOf(all)
}

func firstOf(all []string) string {
	switch len(all) {
	case 0:
		return orNone("")
	case 1:
		return all[0]
	default:
		return fmt.Sprintf("%s (+%d)", all[0], len(all)-1)
	}
}

func orNone(s string) string { return cmp.Or(s, "<none>") }
