// Copyright The pull-access-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/randfill"
)

// kinds are both kinds, with a way to make an empty one.
var kinds = map[string]struct {
	plural string
	empty  func() runtime.Object
}{
	"PullAccessPolicy": {"pullaccesspolicies", func() runtime.Object { return &PullAccessPolicy{} }},
	"PullAccessGrant":  {"pullaccessgrants", func() runtime.Object { return &PullAccessGrant{} }},
}

// FuzzRoundTrip holds the Go types and the schemas of the CRDs to each other, from
// either side.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01"))
	f.Add([]byte("\x03\x00\x05\x07\x09\x0b\x0d\x0f\x11\x13\x15\x17\x19\x1b\x1d\x1f\x21\x23\x25\x27\x29\x2b\x2d\x2f\x31\x33\x35\x37\x39\x3b\x3d\x3f"))
	f.Add([]byte("all the fields of both kinds, and each at its bounds, over and over again"))
	crds := map[string]crd{}
	for kind, tc := range kinds {
		crds[kind] = readCRD(f, tc.plural)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for kind, tc := range kinds {
			fromGo(t, data, tc.empty, crds[kind])
			fromSchema(t, data, kind, tc.empty, crds[kind])
		}
	})
}

// fromGo fills an object: as JSON it must come back the same, and the API server
// must prune nothing of it.
func fromGo(t *testing.T, data []byte, empty func() runtime.Object, c crd) {
	t.Helper()
	object := empty()
	randfill.NewFromGoFuzz(data).NilChance(0.3).NumElements(1, 3).MaxDepth(20).Funcs(
		func(m *metav1.ObjectMeta, c randfill.Continue) { m.Name = c.String(20) },
		func(m *metav1.TypeMeta, _ randfill.Continue) { *m = metav1.TypeMeta{} },
		func(at *metav1.Time, c randfill.Continue) { *at = metav1.Unix(int64(uint32(c.Uint64())), 0) },
		func(d *metav1.Duration, c randfill.Continue) { d.Duration = time.Duration(int64(c.Uint64())) },
	).Fill(object)
	if copied := object.DeepCopyObject(); !equality.Semantic.DeepEqual(object, copied) {
		t.Errorf("a deep copy is another object\n%s", cmp.Diff(object, copied))
	}

	written := write(t, object)
	back := empty()
	read(t, written, back)
	if !equality.Semantic.DeepEqual(object, back) {
		t.Errorf("written as JSON and read, it is another object\n%s", cmp.Diff(object, back))
	}
	kept := tree(t, written)
	pruning.Prune(kept, c.schema, true)
	if diff := cmp.Diff(tree(t, written), kept); diff != "" {
		t.Errorf("the schema does not know of all fields (-sent +kept)\n%s", diff)
	}
}

// fromSchema makes an object that the API server accepts: read into the Go type and
// written back it must lose nothing, and be accepted again.
func fromSchema(t *testing.T, data []byte, kind string, empty func() runtime.Object, c crd) {
	t.Helper()
	from := choices(data)
	stored := from.object(kind, c.schema)
	if err := c.refuses(stored); err != nil {
		t.Fatalf("what was made by the schema is refused by it: %v\n%v", err, stored)
	}
	withDefaults(stored, c.schema)
	once := runtime.DeepCopyJSON(stored)
	withDefaults(once, c.schema)
	if diff := cmp.Diff(stored, once); diff != "" {
		t.Errorf("defaults set twice are not those set once\n%s", diff)
	}
	if err := c.refuses(stored); err != nil {
		t.Errorf("defaults are refused: %v\n%v", err, stored)
	}

	sent, err := json.Marshal(stored)
	if err != nil {
		t.Fatalf("write: %v", err)
	}
	object := empty()
	read(t, sent, object)
	again := tree(t, write(t, object))
	if err := c.refuses(again); err != nil {
		t.Errorf("what the Go type writes is refused: %v\n%s", err, sent)
	}
	withDefaults(again, c.schema)
	if diff := cmp.Diff(said(stored), said(again)); diff != "" {
		t.Errorf("through the Go type it is another object (-stored +written)\n%s", diff)
	}
}

func write(t *testing.T, object runtime.Object) []byte {
	t.Helper()
	data, err := json.Marshal(object)
	if err != nil {
		t.Fatalf("write: %v", err)
	}
	return data
}

// read fails for a field that the Go type does not know.
func read(t *testing.T, data []byte, into runtime.Object) {
	t.Helper()
	strict := json.NewDecoder(bytes.NewReader(data))
	strict.DisallowUnknownFields()
	if err := strict.Decode(into); err != nil {
		t.Fatalf("read: %v\n%s", err, data)
	}
}

// tree reads JSON with whole numbers, as the API server does.
func tree(t *testing.T, data []byte) map[string]any {
	t.Helper()
	var object map[string]any
	if err := utiljson.Unmarshal(data, &object); err != nil {
		t.Fatalf("read: %v\n%s", err, data)
	}
	return object
}

// said is value without what says nothing, which is fields that are unset, zero or
// empty, and with durations spelled in one way.
func said(value any) any {
	switch value := value.(type) {
	case map[string]any:
		rest := map[string]any{}
		for name, field := range value {
			if kept := said(field); kept != nil {
				rest[name] = kept
			}
		}
		if len(rest) == 0 {
			return nil
		}
		return rest
	case []any:
		rest := []any{}
		for _, item := range value {
			rest = append(rest, said(item))
		}
		if len(rest) == 0 {
			return nil
		}
		return rest
	case string:
		if value == "" {
			return nil
		}
		if duration, err := time.ParseDuration(value); err == nil {
			return duration.String() // 60s is 1m0s.
		}
	case int64:
		if value == 0 {
			return nil
		}
	case bool:
		if !value {
			return nil
		}
	}
	return value
}
