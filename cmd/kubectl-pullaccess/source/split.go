// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"
)

// visitor takes one object of a file.
type visitor func(json.RawMessage) error

// where makes err name the file and the line.
func where(name string, line int, err error) error { return fmt.Errorf("%s:%d: %w", name, line, err) }

// errNoObjects is about what kubectl prints without -o.
var errNoObjects = errors.New("the file holds no Kubernetes objects; write it with: kubectl get pods,events -o json")

// itemsOf takes a file apart: JSON documents one after the other, or YAML
// documents, and the items of the lists among them.
func itemsOf(name string, data []byte, visit visitor) error {
	if first := bytes.TrimLeft(data, " \t\r\n"); len(first) > 0 && first[0] == '{' {
		j := documents{name: name, data: data, visit: visit, line: func(offset int) int { return lineAt(data, offset) }}
		return j.all()
	}
	return yamlItems(name, data, visit)
}

func lineAt(data []byte, offset int) int {
	return 1 + bytes.Count(data[:min(offset, len(data))], []byte("\n"))
}

// documents reads JSON documents in one pass, item by item, so that a file takes
// little more memory than its own size.
type documents struct {
	name  string
	data  []byte
	visit visitor
	// line tells for an error in which line of the file an offset is.
	line func(offset int) int

	decoder *json.Decoder
	// start is where the present document begins.
	start int
}

func (d *documents) all() error {
	d.decoder = json.NewDecoder(bytes.NewReader(d.data))
	for {
		open, err := d.decoder.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		d.start = int(d.decoder.InputOffset()) - 1
		if err != nil {
			return d.broken(err)
		}
		if open != json.Delim('{') {
			return where(d.name, d.line(d.start), errNoObjects)
		}
		if err := d.one(); err != nil {
			return err
		}
	}
}

// one reads the document that has just begun: it visits its items, or itself if
// it is no list.
func (d *documents) one() error {
	kind, list := "", false
	for d.decoder.More() {
		key, err := d.decoder.Token()
		if err != nil {
			return d.broken(err)
		}
		switch key {
		case "items":
			list = true
			err = d.items()
		case "kind":
			err = d.decode(&kind)
		default:
			err = d.decode(new(json.RawMessage))
		}
		if err != nil {
			return err
		}
	}
	if _, err := d.decoder.Token(); err != nil {
		return d.broken(err)
	}
	switch {
	case kind == "":
		return where(d.name, d.line(d.start), errNoObjects)
	case list, strings.HasSuffix(kind, "List"):
		return nil
	}
	return d.take(d.start, d.data[d.start:d.decoder.InputOffset()])
}

func (d *documents) items() error {
	open, err := d.decoder.Token()
	if err != nil {
		return d.broken(err)
	}
	if open == nil {
		return nil // As an empty list may be written.
	}
	if open != json.Delim('[') {
		return where(d.name, d.line(d.start), errNoObjects)
	}
	for d.decoder.More() {
		var item json.RawMessage
		if err := d.decode(&item); err != nil {
			return err
		}
		if err := d.take(int(d.decoder.InputOffset())-len(item), item); err != nil {
			return err
		}
	}
	if _, err := d.decoder.Token(); err != nil {
		return d.broken(err)
	}
	return nil
}

func (d *documents) decode(value any) error {
	if err := d.decoder.Decode(value); err != nil {
		return d.broken(err)
	}
	return nil
}

func (d *documents) take(offset int, data json.RawMessage) error {
	if err := d.visit(data); err != nil {
		return where(d.name, d.line(offset), err)
	}
	return nil
}

// broken finds the very place: the decoder's own offsets are those of values.
func (d *documents) broken(err error) error {
	offset := int(d.decoder.InputOffset())
	var syntax *json.SyntaxError
	if errors.As(json.Unmarshal(d.data[d.start:], new(json.RawMessage)), &syntax) {
		offset, err = d.start+int(syntax.Offset), syntax
	}
	return where(d.name, d.line(offset), fmt.Errorf("the JSON is broken or cut off: %w", err))
}

// yamlItems reads documents that are set apart by lines of three dashes.
func yamlItems(name string, data []byte, visit visitor) error {
	line, some := 1, false
	for len(data) > 0 {
		document, rest := cutDocument(data)
		says, err := yamlDocument(name, document, line, visit)
		if err != nil {
			return err
		}
		some = some || says
		line += bytes.Count(data[:len(data)-len(rest)], []byte("\n"))
		data = rest
	}
	if !some {
		return where(name, 1, errNoObjects)
	}
	return nil
}

var separator = regexp.MustCompile(`(?m)^---[ \t]*(#.*)?\r?$\n?`)

func cutDocument(data []byte) (document, rest []byte) {
	at := separator.FindIndex(data)
	if at == nil {
		return data, nil
	}
	return data[:at[0]], data[at[1]:]
}

// yamlLine is how the library names a line of the document.
var yamlLine = regexp.MustCompile(`line (\d+): `)

// yamlDocument reads one document, and tells whether it holds more than comments.
func yamlDocument(name string, document []byte, line int, visit visitor) (says bool, err error) {
	converted, err := yaml.YAMLToJSON(document)
	if err != nil {
		text := strings.TrimPrefix(err.Error(), "yaml: ")
		if at := yamlLine.FindStringSubmatch(text); at != nil {
			n, _ := strconv.Atoi(at[1]) // It matched digits.
			line, text = line+n-1, strings.Replace(text, at[0], "", 1)
		}
		return false, where(name, line, errors.New("the YAML is broken: "+text))
	}
	if bytes.Equal(converted, []byte("null")) {
		return false, nil
	}
	// The lines of the converted text are not those of the file: all of it stands where the document begins.
	first := line + leadingLines(document)
	d := documents{name: name, data: converted, visit: visit, line: func(int) int { return first }}
	return true, d.all()
}

// leadingLines counts the lines before the first that says something.
func leadingLines(document []byte) int {
	n := 0
	for text := range bytes.Lines(document) {
		if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 && trimmed[0] != '#' {
			return n
		}
		n++
	}
	return 0
}
