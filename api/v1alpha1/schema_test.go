// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
	"k8s.io/kube-openapi/pkg/validation/validate"
	"sigs.k8s.io/yaml"
)

// crd is what the API server knows of a kind.
type crd struct {
	schema  *structuralschema.Structural
	openAPI *spec.Schema
}

func readCRD(tb testing.TB, plural string) crd {
	tb.Helper()
	data, err := os.ReadFile("../../config/crd/bases/pullaccess.dev_" + plural + ".yaml")
	if err != nil {
		tb.Fatalf("read the CRD: %v", err)
	}
	var definition apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(data, &definition); err != nil {
		tb.Fatalf("read the CRD: %v", err)
	}
	var internal apiextensions.JSONSchemaProps
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(
		definition.Spec.Versions[0].Schema.OpenAPIV3Schema, &internal, nil); err != nil {
		tb.Fatalf("convert the schema: %v", err)
	}
	schema, err := structuralschema.NewStructural(&internal)
	if err != nil {
		tb.Fatalf("read the schema: %v", err)
	}
	return crd{schema, schema.ToKubeOpenAPI()}
}

// refuses tells what the schema has against an object, CEL rules and formats left out.
func (c crd) refuses(object map[string]any) error {
	return validate.NewSchemaValidator(c.openAPI, nil, "", strfmt.Default).Validate(object).AsError()
}

// withDefaults sets what is missing in value, as the API server does when it
// reads or is sent an object.
func withDefaults(value any, schema *structuralschema.Structural) {
	switch value := value.(type) {
	case map[string]any:
		for name, property := range schema.Properties {
			if _, there := value[name]; !there && property.Default.Object != nil {
				value[name] = runtime.DeepCopyJSONValue(property.Default.Object)
			}
			if child, there := value[name]; there {
				withDefaults(child, &property)
			}
		}
	case []any:
		for _, item := range value {
			withDefaults(item, schema.Items)
		}
	}
}

// choices turns bytes into choices; it makes the first when they run out.
type choices []byte

func (c *choices) below(n int) int {
	if len(*c) == 0 || n <= 1 {
		return 0
	}
	b := (*c)[0]
	*c = (*c)[1:]
	return int(b) % n
}

// object makes an object of a kind that its schema accepts: any of its fields, at
// its bounds more often than between them.
func (c *choices) object(kind string, schema *structuralschema.Structural) map[string]any {
	object := map[string]any{
		"apiVersion": GroupVersion.String(), "kind": kind, "metadata": map[string]any{"name": "fuzzed"},
	}
	for _, part := range []string{"spec", "status"} {
		property := schema.Properties[part]
		object[part] = c.value(&property)
	}
	return object
}

func (c *choices) value(schema *structuralschema.Structural) any {
	switch schema.Type {
	case "object":
		return c.fields(schema)
	case "array":
		return c.items(schema)
	case "string":
		return c.text(schema)
	case "integer":
		return c.integer(schema)
	case "boolean":
		return c.below(2) == 1
	default:
		return nil // No kind of ours has any.
	}
}

func (c *choices) fields(schema *structuralschema.Structural) map[string]any {
	value := map[string]any{}
	if schema.AdditionalProperties != nil {
		for i := range c.below(3) {
			value[fmt.Sprintf("key%d", i)] = c.value(schema.AdditionalProperties.Structural)
		}
		return value
	}
	names := make([]string, 0, len(schema.Properties))
	for name := range schema.Properties {
		names = append(names, name)
	}
	slices.Sort(names) // The same bytes make the same object.
	for _, name := range names {
		property := schema.Properties[name]
		if slices.Contains(schema.ValueValidation.Required, name) || c.below(2) == 1 {
			value[name] = c.value(&property)
		}
	}
	return value
}

func (c *choices) items(schema *structuralschema.Structural) []any {
	least, most := int64(0), int64(3)
	if v := schema.ValueValidation; v != nil {
		if v.MinItems != nil {
			least = *v.MinItems
		}
		if v.MaxItems != nil {
			most = min(most, *v.MaxItems)
		}
	}
	value := []any{}
	for range int(least) + c.below(int(most-least)+1) {
		value = append(value, c.value(schema.Items))
	}
	return value
}

func (c *choices) integer(schema *structuralschema.Structural) int64 {
	least, most := int64(-3), int64(1<<31-1)
	if v := schema.ValueValidation; v != nil {
		if v.Minimum != nil {
			least = int64(*v.Minimum)
		}
		if v.Maximum != nil {
			most = int64(*v.Maximum)
		}
	}
	return []int64{least, most, min(least+1, most), max(least, 0)}[c.below(4)]
}

func (c *choices) text(schema *structuralschema.Structural) string {
	v := schema.ValueValidation
	switch {
	case v != nil && len(v.Enum) > 0:
		return fmt.Sprint(v.Enum[c.below(len(v.Enum))].Object)
	case v != nil && v.Format == "date-time":
		return time.Unix(int64(c.below(256))<<23, 0).UTC().Format(time.RFC3339)
	case isDuration(schema):
		return (time.Duration(c.below(256)) * 10 * time.Second).String()
	case v != nil && v.Pattern != "":
		return "True" // All that it may be is a condition's reason.
	}
	least, most := int64(0), int64(40)
	if v != nil && v.MinLength != nil {
		least = *v.MinLength
	}
	if v != nil && v.MaxLength != nil {
		most = min(most, *v.MaxLength)
	}
	length := []int64{least, most, min(least+1, most)}[c.below(3)]
	return strings.Repeat([]string{"a", "é", "<", `"`, "\u2028"}[c.below(5)], int(length))
}

func isDuration(schema *structuralschema.Structural) bool {
	return slices.ContainsFunc(schema.XValidations, func(rule apiextensionsv1.ValidationRule) bool {
		return strings.Contains(rule.Rule, "duration(self)")
	})
}
