// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package terraform_test

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// instance is one resource that would be made.
type instance struct {
	// kind is the type of the resource, address what Terraform calls this one.
	kind, address string
	// values are its arguments; those of nested blocks have the path of the block.
	values map[string]cty.Value
}

// schemas are the arguments of each type of resource, as the provider documents them.
var schemas = map[string]*hcl.BodySchema{
	"google_service_account":                         arguments("project", "account_id", "display_name"),
	"google_service_account_iam_member":              arguments("service_account_id", "role", "member"),
	"google_project_iam_custom_role":                 arguments("project", "role_id", "title", "description", "permissions"),
	"google_artifact_registry_repository_iam_member": arguments("project", "location", "repository", "role", "member"),
	"google_project_iam_member":                      arguments("project", "role", "member", "condition{}"),
	"google_iam_deny_policy":                         arguments("parent", "name", "display_name", "rules{}"),
}

// blocks are the arguments of nested blocks.
var blocks = map[string]*hcl.BodySchema{
	"condition":                        arguments("title", "description", "expression"),
	"rules":                            arguments("description", "deny_rule{}"),
	"rules.deny_rule":                  arguments("denied_principals", "denied_permissions", "denial_condition{}"),
	"rules.deny_rule.denial_condition": arguments("title", "expression"),
}

// arguments lists what a resource or a block takes; NAME{} is a block.
func arguments(names ...string) *hcl.BodySchema {
	schema := &hcl.BodySchema{}
	for _, name := range names {
		if block, ok := strings.CutSuffix(name, "{}"); ok {
			schema.Blocks = append(schema.Blocks, hcl.BlockHeaderSchema{Type: block})
		} else {
			schema.Attributes = append(schema.Attributes, hcl.AttributeSchema{Name: name, Required: true})
		}
	}
	return schema
}

// computed are the attributes that Google gives a resource, and that others refer to.
var computed = map[string]func(get func(string) string) map[string]cty.Value{
	"google_service_account": func(get func(string) string) map[string]cty.Value {
		email := get("account_id") + "@" + get("project") + ".iam.gserviceaccount.com"
		return map[string]cty.Value{
			"email": cty.StringVal(email), "name": cty.StringVal("projects/" + get("project") + "/serviceAccounts/" + email),
		}
	},
	"google_project_iam_custom_role": func(get func(string) string) map[string]cty.Value {
		return map[string]cty.Value{"name": cty.StringVal("projects/" + get("project") + "/roles/" + get("role_id"))}
	},
}

func (i instance) text(name string) string {
	value, ok := i.values[name]
	if !ok || value.IsNull() || value.Type() != cty.String {
		return ""
	}
	return value.AsString()
}

// plan is a module on its way to its resources.
type plan struct {
	scope     map[string]cty.Value
	locals    map[string]cty.Value
	instances []instance
}

var errWaits = errors.New("it waits for what is not evaluated yet")

// plan evaluates locals and resources as their values become known.
func (m *module) plan(values map[string]hcl.Expression) ([]instance, error) {
	object, err := m.set(values)
	if err != nil {
		return nil, err
	}
	p := &plan{scope: map[string]cty.Value{"var": object}, locals: map[string]cty.Value{}}
	resources := slices.Clone(m.resources)
	for moved := true; moved; {
		moved = false
		for name, expression := range m.locals {
			if _, done := p.locals[name]; done {
				continue
			}
			value, err := p.value(expression, nil)
			if err == nil {
				p.locals[name], moved = value, true
				p.scope["local"] = cty.ObjectVal(p.locals)
			} else if !errors.Is(err, errWaits) {
				return nil, err
			}
		}
		for i := len(resources) - 1; i >= 0; i-- {
			err := p.add(resources[i])
			if err == nil {
				resources, moved = slices.Delete(resources, i, i+1), true
			} else if !errors.Is(err, errWaits) {
				return nil, err
			}
		}
	}
	if len(resources) > 0 || len(p.locals) < len(m.locals) {
		return nil, fmt.Errorf("%d resources and %d locals refer to what is not there", len(resources), len(m.locals)-len(p.locals))
	}
	return p.instances, nil
}

// value evaluates an expression, if all that it names is there.
func (p *plan) value(expression hcl.Expression, each map[string]cty.Value) (cty.Value, error) {
	ctx := context(p.scope)
	if each != nil {
		ctx = ctx.NewChild()
		ctx.Variables = map[string]cty.Value{"each": cty.ObjectVal(each)}
	}
	for _, traversal := range expression.Variables() {
		if _, ok := each[traversal.RootName()]; ok || traversal.RootName() == "each" {
			continue
		}
		if _, diags := traversal[:min(2, len(traversal))].TraverseAbs(ctx); diags.HasErrors() {
			return cty.NilVal, fmt.Errorf("%w: %w", errWaits, diags)
		}
	}
	value, diags := expression.Value(ctx)
	return value, failed(diags)
}

// add makes the instances of one resource, all or none.
func (p *plan) add(block *hcl.Block) error {
	schema, ok := schemas[block.Labels[0]]
	if !ok {
		return fmt.Errorf("no resource of type %s is expected here", block.Labels[0])
	}
	meta, rest, diags := block.Body.PartialContent(&hcl.BodySchema{
		Attributes: []hcl.AttributeSchema{{Name: "for_each"}}, Blocks: []hcl.BlockHeaderSchema{{Type: "lifecycle"}},
	})
	if diags.HasErrors() {
		return diags
	}
	address := block.Labels[0] + "." + block.Labels[1]
	forEach, many := meta.Attributes["for_each"]
	if !many {
		one, err := p.instance(block.Labels[0], address, rest, schema, nil)
		if err != nil {
			return err
		}
		p.keep(block, []instance{one}, cty.ObjectVal(one.values))
		return nil
	}
	over, err := p.value(forEach.Expr, nil)
	if err != nil {
		return err
	}
	var made []instance
	all := map[string]cty.Value{}
	for it := over.ElementIterator(); it.Next(); {
		key, value := it.Element()
		each := map[string]cty.Value{"key": key, "value": value}
		if err := p.preconditions(meta, each); err != nil {
			return err
		}
		one, err := p.instance(block.Labels[0], fmt.Sprintf("%s[%q]", address, key.AsString()), rest, schema, each)
		if err != nil {
			return err
		}
		made, all[key.AsString()] = append(made, one), cty.ObjectVal(one.values)
	}
	p.keep(block, made, cty.ObjectVal(all))
	return nil
}

// keep lets others refer to the resource.
func (p *plan) keep(block *hcl.Block, made []instance, value cty.Value) {
	p.instances = append(p.instances, made...)
	named := map[string]cty.Value{block.Labels[1]: value}
	if others, ok := p.scope[block.Labels[0]]; ok {
		for name, other := range others.AsValueMap() {
			named[name] = other
		}
	}
	p.scope[block.Labels[0]] = cty.ObjectVal(named)
}

func (p *plan) preconditions(meta *hcl.BodyContent, each map[string]cty.Value) error {
	for _, lifecycle := range meta.Blocks {
		content, diags := lifecycle.Body.Content(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "precondition"}}})
		if diags.HasErrors() {
			return diags
		}
		for _, block := range content.Blocks {
			r, err := ruleOf(block)
			if err != nil {
				return err
			}
			if holds, err := p.value(r.condition, each); err != nil || holds.False() {
				return errors.Join(err, errors.New(r.message))
			}
		}
	}
	return nil
}

func (p *plan) instance(kind, address string, body hcl.Body, schema *hcl.BodySchema, each map[string]cty.Value) (instance, error) {
	i := instance{kind: kind, address: address, values: map[string]cty.Value{}}
	if err := p.read(i.values, "", body, schema, each); err != nil {
		return i, err
	}
	if compute, ok := computed[kind]; ok {
		for name, value := range compute(i.text) {
			i.values[name] = value
		}
	}
	return i, nil
}

// read evaluates the arguments of a body, and of the blocks in it.
func (p *plan) read(values map[string]cty.Value, path string, body hcl.Body, schema *hcl.BodySchema, each map[string]cty.Value) error {
	content, diags := body.Content(schema)
	if diags.HasErrors() {
		return diags
	}
	for name, attribute := range content.Attributes {
		value, err := p.value(attribute.Expr, each)
		if err != nil {
			return err
		}
		values[path+name] = value
	}
	for _, block := range content.Blocks {
		inner := path + block.Type
		if err := p.read(values, inner+".", block.Body, blocks[inner], each); err != nil {
			return err
		}
	}
	return nil
}

// context is what expressions see: the functions of Terraform that the module uses.
func context(scope map[string]cty.Value) *hcl.EvalContext {
	return &hcl.EvalContext{Variables: scope, Functions: map[string]function.Function{
		"can": tryfunc.CanFunc, "concat": stdlib.ConcatFunc, "regex": stdlib.RegexFunc, "setunion": stdlib.SetUnionFunc,
		"toset": stdlib.MakeToFunc(cty.Set(cty.DynamicPseudoType)),
		"alltrue": function.New(&function.Spec{
			Params: []function.Parameter{{Name: "list", Type: cty.List(cty.Bool)}}, Type: function.StaticReturnType(cty.Bool),
			Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
				return cty.BoolVal(!slices.ContainsFunc(args[0].AsValueSlice(), cty.Value.False)), nil
			},
		}),
		"urlencode": function.New(&function.Spec{
			Params: []function.Parameter{{Name: "text", Type: cty.String}}, Type: function.StaticReturnType(cty.String),
			Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
				return cty.StringVal(url.QueryEscape(args[0].AsString())), nil
			},
		}),
	}}
}
