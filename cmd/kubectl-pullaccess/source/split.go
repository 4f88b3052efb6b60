// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"
)

// item is one object of a file, with the place where it stands.
type item struct {
	line int
	data json.RawMessage
}

// where makes err name the file and the line.
func where(name string, line int, err error) error { return fmt.Errorf("%s:%d: %w", name, line, err) }

// errNoObjects is about what kubectl prints without -o.
var errNoObjects = errors.New("the file holds no Kubernetes objects; write it with: kubectl get pods,events -o json")

// itemsOf takes a file apart: JSON documents one after the other, or YAML
// documents, and the items of the lists among them.
func itemsOf(name string, data []byte, visit func(item) error) error {
	if first := bytes.TrimLeft(data, " \t\r\n"); len(first) > 0 && first[0] == '{' {
		return jsonItems(name, data, 1, visit)
	}
	return yamlItems(name, data, visit)
}

func jsonItems(name string, data []byte, line int, visit func(item) error) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	for decoder.More() {
		start := int(decoder.InputOffset())
		var document json.RawMessage
		if err := decoder.Decode(&document); err != nil {
			return where(name, lineAt(data, line, errorOffset(err, len(data))), fmt.Errorf("the JSON is broken or cut off: %w", err))
		}
		start += len(data[start:decoder.InputOffset()]) - len(document)
		if err := split(name, item{lineAt(data, line, start), document}, visit); err != nil {
			return err
		}
	}
	return nil
}

// split visits the items of a list, or the document itself.
func split(name string, document item, visit func(item) error) error {
	var head struct {
		Kind string `json:"kind"`
	}
	if err := json.Unmarshal(document.data, &head); err != nil || head.Kind == "" {
		return where(name, document.line, errNoObjects)
	}
	if !strings.HasSuffix(head.Kind, "List") {
		return visit(document)
	}
	decoder := json.NewDecoder(bytes.NewReader(document.data))
	if !toItems(decoder) {
		return nil
	}
	for decoder.More() {
		var one json.RawMessage
		if err := decoder.Decode(&one); err != nil {
			return where(name, document.line, err)
		}
		start := int(decoder.InputOffset()) - len(one)
		if err := visit(item{lineAt(document.data, document.line, start), one}); err != nil {
			return err
		}
	}
	return nil
}

// toItems goes into the array under the top-level key items.
func toItems(decoder *json.Decoder) bool {
	if _, err := decoder.Token(); err != nil {
		return false
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return false
		}
		if key == "items" {
			open, err := decoder.Token()
			return err == nil && open == json.Delim('[')
		}
		var skipped json.RawMessage
		if decoder.Decode(&skipped) != nil {
			return false
		}
	}
	return false
}

func errorOffset(err error, end int) int {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return int(syntax.Offset)
	}
	return end
}

func lineAt(data []byte, first, offset int) int {
	return first + bytes.Count(data[:min(offset, len(data))], []byte("\n"))
}

// yamlItems reads documents that are set apart by lines of three dashes.
func yamlItems(name string, data []byte, visit func(item) error) error {
	line := 1
	for len(data) > 0 {
		document, rest := cutDocument(data)
		if err := yamlDocument(name, document, line, visit); err != nil {
			return err
		}
		line += bytes.Count(data[:len(data)-len(rest)], []byte("\n"))
		data = rest
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

func yamlDocument(name string, document []byte, line int, visit func(item) error) error {
	converted, err := yaml.YAMLToJSON(document)
	if err != nil {
		text := strings.TrimPrefix(err.Error(), "yaml: ")
		if at := yamlLine.FindStringSubmatch(text); at != nil {
			n, _ := strconv.Atoi(at[1]) // It matched digits.
			line, text = line+n-1, strings.Replace(text, at[0], "", 1)
		}
		return where(name, line, errors.New("the YAML is broken: "+text))
	}
	if bytes.Equal(converted, []byte("null")) {
		return nil // Nothing but comments.
	}
	// The lines of the converted text are not those of the file: all of it stands where the document begins.
	first := line + leadingLines(document)
	return split(name, item{first, converted}, func(i item) error { return visit(item{first, i.data}) })
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
