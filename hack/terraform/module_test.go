// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package terraform_test holds config/gcp to what it is for: that it gives the
// operator what it needs in Google Cloud, and nothing wider.
//
// It knows no provider. It evaluates the module as Terraform would before it asks
// one, and the few attributes that a provider would compute it fills in itself.
package terraform_test

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

const folder = "../../config/gcp"

// variable is one variable block.
type variable struct {
	kind  cty.Type
	value cty.Value
	rules []rule
}

// rule is a validation or a precondition.
type rule struct {
	condition hcl.Expression
	message   string
}

// module is all that the files of the folder declare.
type module struct {
	variables map[string]*variable
	locals    map[string]hcl.Expression
	resources []*hcl.Block
}

// The blocks of a module; those that say nothing about access are let pass.
var moduleSchema = &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
	{Type: "terraform"},
	{Type: "locals"},
	{Type: "variable", LabelNames: []string{"name"}},
	{Type: "output", LabelNames: []string{"name"}},
	{Type: "resource", LabelNames: []string{"type", "name"}},
}}

var variableSchema = &hcl.BodySchema{
	Attributes: []hcl.AttributeSchema{{Name: "description", Required: true}, {Name: "type", Required: true}, {Name: "default"}},
	Blocks:     []hcl.BlockHeaderSchema{{Type: "validation"}},
}

var ruleSchema = &hcl.BodySchema{
	Attributes: []hcl.AttributeSchema{{Name: "condition", Required: true}, {Name: "error_message", Required: true}},
}

// load reads the module, and fails for blocks and arguments that it does not know.
func load(t *testing.T) *module {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.tf"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	m := &module{variables: map[string]*variable{}, locals: map[string]hcl.Expression{}}
	parser := hclparse.NewParser()
	for _, name := range files {
		file, diags := parser.ParseHCLFile(name)
		content := &hcl.BodyContent{}
		if !diags.HasErrors() {
			content, diags = file.Body.Content(moduleSchema)
		}
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		for _, block := range content.Blocks {
			if err := m.declare(block); err != nil {
				t.Fatal(err)
			}
		}
	}
	return m
}

func (m *module) declare(block *hcl.Block) error {
	switch block.Type {
	case "variable":
		return m.declareVariable(block)
	case "locals":
		attributes, diags := block.Body.JustAttributes()
		for name, attribute := range attributes {
			m.locals[name] = attribute.Expr
		}
		return failed(diags)
	case "resource":
		m.resources = append(m.resources, block)
	}
	return nil
}

func (m *module) declareVariable(block *hcl.Block) error {
	content, diags := block.Body.Content(variableSchema)
	if diags.HasErrors() {
		return diags
	}
	kind, diags := typeexpr.TypeConstraint(content.Attributes["type"].Expr)
	if diags.HasErrors() {
		return diags
	}
	v := &variable{kind: kind, value: cty.NilVal}
	m.variables[block.Labels[0]] = v
	for _, b := range content.Blocks {
		r, err := ruleOf(b)
		if err != nil {
			return err
		}
		v.rules = append(v.rules, r)
	}
	if unset, ok := content.Attributes["default"]; ok {
		value, diags := unset.Expr.Value(nil)
		if diags.HasErrors() {
			return diags
		}
		var err error
		v.value, err = convert.Convert(value, kind)
		return err
	}
	return nil
}

func ruleOf(block *hcl.Block) (rule, error) {
	content, diags := block.Body.Content(ruleSchema)
	if diags.HasErrors() {
		return rule{}, diags
	}
	message, diags := content.Attributes["error_message"].Expr.Value(nil)
	if diags.HasErrors() {
		return rule{}, diags
	}
	return rule{content.Attributes["condition"].Expr, message.AsString()}, nil
}

// set gives the variables their values from an expression for each, and has them
// validated. Every variable without a default must be among them.
func (m *module) set(values map[string]hcl.Expression) (cty.Value, error) {
	for name, expression := range values {
		v, ok := m.variables[name]
		if !ok {
			return cty.NilVal, fmt.Errorf("there is no variable %s", name)
		}
		value, diags := expression.Value(nil)
		if diags.HasErrors() {
			return cty.NilVal, diags
		}
		var err error
		if v.value, err = convert.Convert(value, v.kind); err != nil {
			return cty.NilVal, fmt.Errorf("variable %s: %w", name, err)
		}
	}
	all := map[string]cty.Value{}
	for name, v := range m.variables {
		if v.value == cty.NilVal {
			return cty.NilVal, fmt.Errorf("variable %s is not set", name)
		}
		all[name] = v.value
	}
	object := cty.ObjectVal(all)
	for _, name := range slices.Sorted(maps.Keys(m.variables)) {
		for _, r := range m.variables[name].rules {
			if err := r.check(context(map[string]cty.Value{"var": object})); err != nil {
				return cty.NilVal, err
			}
		}
	}
	return object, nil
}

func (r rule) check(ctx *hcl.EvalContext) error {
	holds, diags := r.condition.Value(ctx)
	if diags.HasErrors() {
		return diags
	}
	if holds.False() {
		return errors.New(r.message)
	}
	return nil
}

// failed is nil, and not an empty list, where nothing failed.
func failed(diags hcl.Diagnostics) error {
	if diags.HasErrors() {
		return diags
	}
	return nil
}
